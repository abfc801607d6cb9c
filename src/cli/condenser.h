// Stored sets of a stream's tasks, each made by an experiment in a run folder of its own.
#pragma once

#include <filesystem>
#include <optional>

#include "cli/continual_settings.h"

namespace retort::cli {

/// What `continual::Condense` asks for. All that it is made with outlives it.
class Condenser {
 public:
  Condenser(const Continual& command, const data::Dataset& all, at::Device device,
            const Environment& environment)
      : command_(command), all_(all), device_(device), environment_(environment) {}

  /// Refuses what the first set would refuse, before anything is on disk.
  void check(const continual::TaskStream& stream) const;
  /// The set of a task, made or found; nothing where it was asked to stop.
  std::optional<synthetic::Bundle> operator()(const data::Dataset& samples, int64_t order,
                                              int64_t task) const;

 private:
  struct Job;
  void check_set(const synthetic::Bundle& bundle, const std::filesystem::path& folder) const;
  void check_budget(int64_t bytes, const std::filesystem::path& folder) const;

  const Continual& command_;
  const data::Dataset& all_;
  const at::Device device_;
  const Environment& environment_;
};

}  // namespace retort::cli
