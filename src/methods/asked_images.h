// The images that a run is asked for, beside those that there are.
#pragma once

#include <string>
#include <vector>

#include "methods/distillation.h"

namespace retort::methods {

/// The images of each class whose bytes the options allow.
synthetic::SetLayout budget_of(const data::Dataset& data, const DistillOptions& options);

/// Methods that choose real images cannot choose more than there are: ConfigError where they would.
void require_enough(const DistillInput& input);

/// What a user should know of a run that learns images before it begins.
std::vector<std::string> notes_on(const DistillInput& input);

}  // namespace retort::methods
