// How a new run starts: from real images, noise, or a bundle.
#pragma once

#include <vector>

#include "methods/distillation.h"

namespace retort::methods {

/// Training images by row, in network-input space.
at::Tensor rows_as_input(const DistillInput& input, const std::vector<int64_t>& rows);

/// Refuses a bundle to start from that does not fit.
void check_start(const DistillInput& input, const synthetic::Parametrisation& parametrisation);

/// Starts the parametrisation and what the objective learns beside it. A bundle of the same
/// parametrisation and shapes gives its stored tensors exactly; any other gives its images.
void start(const DistillInput& input, synthetic::Parametrisation& parametrisation,
           Objective& objective);

}  // namespace retort::methods
