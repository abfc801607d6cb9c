// What `retort reproduce` will take, part by part, from a few steps of each.
#pragma once

#include "cli/estimate.h"
#include "cli/eval_command.h"

namespace retort::cli {

/// Experts, distillation and evaluation of a command line from the beginning. Nothing of it stays.
Expected expected_of_reproduction(const Environment& environment, const Arguments& arguments);

/// Reading, and the students of an evaluation.
double evaluation_seconds(const Environment& environment, EvalSettings& settings);

}  // namespace retort::cli
