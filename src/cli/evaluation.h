// An evaluation as text and JSON.
#pragma once

#include "cli/arguments.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {

Json to_json(const eval::Evaluation& evaluation);
void print_table(const Environment& environment, const eval::Evaluation& evaluation);

}  // namespace retort::cli
