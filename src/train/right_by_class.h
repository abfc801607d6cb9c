// How well something that answers with logits classifies.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::train {

/// Rows of each class of `split` that `predict` classifies rightly: it is given network input
/// [N, C, H, W] on the device, in chunks, and answers with logits [N, K].
std::vector<int64_t> right_by_class(const std::function<at::Tensor(const at::Tensor&)>& predict,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device);

}  // namespace retort::train
