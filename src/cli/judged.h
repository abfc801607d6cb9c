// An evaluation as text and JSON, and the options that it takes over from the run.
#pragma once

#include "cli/arguments.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {

Json to_json(const eval::Evaluation& evaluation);
void print_table(const Environment& environment, const eval::Evaluation& evaluation);

/// DataOptions of the run that the first argument names, where it is a run: the same preprocessing
/// and splits without repeating flags. Flags given now override them.
void take_run_options(const Arguments& arguments, OptionSet& options);

}  // namespace retort::cli
