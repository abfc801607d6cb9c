// Methods whose student is kernel ridge regression, and what they share.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/data/class_sampler.h"
#include "retort/methods/method.h"

namespace retort::methods {

/// FRePo: regression on the features of a pool of networks (Zhou et al., NeurIPS 2022).
std::unique_ptr<Method> make_frepo();

/// KIP: regression with the tangent kernel of an infinitely wide network (Nguyen et al., ICLR
/// 2021).
std::unique_ptr<Method> make_kip();

/// Real images as regression sees them.
struct RealBatch {
  at::Tensor images;   ///< float32 [T, C, H, W], network input, on the device
  at::Tensor targets;  ///< float64 [T, K], centred one-hot, on the device
};
RealBatch real_rows(const data::ClassSampler& real, const std::vector<int64_t>& rows);

}  // namespace retort::methods
