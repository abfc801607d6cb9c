// Sets of real images that chance had a part in choosing, chosen again.
#pragma once

#include "retort/core/progress.h"
#include "retort/data/dataset.h"
#include "retort/synthetic/bundle.h"

namespace retort::methods {

/// True for a set whose images a selection method chose from `data`: another choice can be made.
bool can_choose_again(const synthetic::Bundle& bundle, const data::Dataset& data);

/// The images [M, C, H, W], in the order of the set's labels, that its method chooses by another
/// seed, in network-input space. A method that trains a network to choose trains it for this.
at::Tensor choose_again(const synthetic::Bundle& bundle, const data::Dataset& data, uint64_t seed,
                        at::Device device, const ProgressStyle& progress = {});

}  // namespace retort::methods
