// What a program that calls commands in-process, such as the Python package, gives them beside
// words, and what it hears of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/data/dataset.h"
#include "retort/eval/learner.h"
#include "retort/methods/method.h"

namespace retort::cli {

/// All of it may be left as it is. No function changes a result; each is called on the thread that
/// runs the command.
struct Host {
  /// Data that lie in memory, in place of what --data names.
  std::function<data::Dataset(const data::DataOptions& options, const std::filesystem::path& cache,
                              const ProgressStyle& progress)>
      open = {};
  std::optional<methods::MethodEntry> method = {};  ///< another one for `retort distill`
  std::function<void(int64_t done, double loss)> iteration = {};  ///< of a distillation
  std::function<void(const Json& record)> record = {};            ///< that a run writes
  std::function<void(const ProgressReport& report)> progress = {};
  std::vector<eval::Learner> learners = {};  ///< more students for `retort eval`
};

/// The data of a command: the host's, or what the options name.
data::Dataset open_data(const Environment& environment, const data::DataOptions& options,
                        const std::filesystem::path& cache = {});

}  // namespace retort::cli
