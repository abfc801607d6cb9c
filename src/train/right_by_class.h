// How well something that answers with logits classifies.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::train {

/// How many rows of each class of `split` are taken for each class, int64 [K, K] on the CPU: row
/// the true class, column the one that `predict` says. It is given network input [N, C, H, W] on
/// the device, in chunks, and answers with logits [N, K].
at::Tensor confusion(const std::function<at::Tensor(const at::Tensor&)>& predict,
                     const data::Split& split, const data::Preprocessing& preprocessing,
                     at::Device device);

/// Rows of each class that are classified rightly.
std::vector<int64_t> right_by_class(const std::function<at::Tensor(const at::Tensor&)>& predict,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device);

}  // namespace retort::train
