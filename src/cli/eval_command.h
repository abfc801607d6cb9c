// What one command line of `retort eval` sets, and the evaluation.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "retort/core/records.h"
#include "retort/data/dataset.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {

/// Everything that one command line sets.
struct EvalSettings {
  std::string target;  ///< a run folder, a folder of several sets, or a bundle
  eval::EvalOptions options;
  data::DataOptions data;
  MachineOptions machine;
  OptionSet set;  ///< all of these but the target

  EvalSettings();
  EvalSettings(const EvalSettings&) = delete;
  EvalSettings& operator=(const EvalSettings&) = delete;
};

/// Labels that were stored beside a run are those that its students learn, unless others are asked
/// for.
void take_stored_labels(const std::filesystem::path& folder, const synthetic::Bundle& bundle,
                        eval::EvalOptions& options);

/// An evaluation, and the record of it.
struct Evaluated {
  eval::Evaluation evaluation;
  Json record;
};

/// Evaluates a run or a bundle; nothing where it was asked to stop.
std::optional<Evaluated> evaluated(const Environment& environment, EvalSettings& settings);

/// Adds an evaluation to a run's records and page, whose path it returns; where that fails, its
/// figures still come out.
std::filesystem::path keep_evaluation(const Environment& environment,
                                      const std::filesystem::path& folder, const Json& record);

/// Evaluates, prints what was found and keeps it with a run; nothing where it was asked to stop.
std::optional<Json> judge(const Environment& environment, EvalSettings& settings);

}  // namespace retort::cli
