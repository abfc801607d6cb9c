// An evaluation as text.
#pragma once

#include "cli/arguments.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {

void print_table(const Environment& environment, const eval::Evaluation& evaluation);

}  // namespace retort::cli
