// Training that goes through a set in a fixed order, every step at its own rate (Wang et al.,
// 2018).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "retort/train/trainer.h"

namespace retort::train {

/// The minibatches of a set with `counts[c]` images of class c, class after class: the i-th holds
/// the i-th image of every class that has as many.
std::vector<std::vector<int64_t>> ordered_batches(const std::vector<int64_t>& counts);

/// Plain gradient descent over those batches, again from the first after the last, one step for
/// every rate. `callbacks` sees every step as an epoch. StateError where a loss is not finite.
ModelState train_sequentially(const nets::Network& network, const data::BatchSource& source,
                              const std::vector<int64_t>& counts, const std::vector<double>& rates,
                              const TrainSeed& seed, at::Device device,
                              const Callbacks& callbacks = {});

}  // namespace retort::train
