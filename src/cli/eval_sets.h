// Several sets of one recipe, judged one after the other.
#pragma once

#include <optional>

#include "cli/eval_command.h"

namespace retort::cli {

/// Evaluates every set in the folder `settings.target`, keeps each evaluation with its set and all
/// together with the folder, and prints the spread over sets and over students apart. Sets that an
/// earlier start has evaluated in the same way are not evaluated again. Nothing where it was asked
/// to stop.
std::optional<Json> judge_sets(const Environment& environment, EvalSettings& settings);

}  // namespace retort::cli
