// What one command line of `retort eval` sets, and the evaluation.
#pragma once

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "retort/core/records.h"
#include "retort/data/dataset.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {

/// Everything that one command line sets.
struct EvalSettings {
  std::string target;  ///< a run folder or a bundle
  eval::EvalOptions options;
  data::DataOptions data;
  MachineOptions machine;
  OptionSet set;  ///< all of these but the target

  EvalSettings();
  EvalSettings(const EvalSettings&) = delete;
  EvalSettings& operator=(const EvalSettings&) = delete;
};

/// Evaluates, prints what was found and keeps it with a run; nothing where it was asked to stop.
std::optional<Json> judge(const Environment& environment, EvalSettings& settings);

}  // namespace retort::cli
