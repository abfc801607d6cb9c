// What one command line of `retort continual` sets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "continual/continual.h"
#include "retort/data/dataset.h"
#include "retort/methods/experiment.h"

namespace retort::cli {

/// Everything that one command line sets.
struct Continual {
  continual::ContinualOptions stream;
  std::optional<methods::Experiment> experiment;  ///< of a stored set; none for the baselines
  data::DataOptions data;
  MachineOptions machine;
  std::vector<std::string> uses;
  std::string name, out;

  Continual(const std::string& stream_name, const std::string& method_name,
            const std::string& parametrisation_name);

  Continual(const Continual&) = delete;
  Continual& operator=(const Continual&) = delete;

  const continual::StreamKind& kind() const { return continual::find_stream(stream.stream); }
  /// The options that sets and baselines share.
  methods::DistillOptions& loop() { return experiment ? experiment->settings() : baseline_; }
  const methods::DistillOptions& loop() const {
    return experiment ? experiment->settings() : baseline_;
  }

  /// The command line.
  void declare(OptionSet& set);

  /// What all methods in a folder share.
  void declare_shared(OptionSet& set);

  /// ConfigError with everything that cannot be.
  void check() const;

  /// Bytes of images that a task's set may take; 0: counted in images per class.
  double budget_bytes(const data::Dataset& all) const;

  /// Replaces "auto" by what the memory allows, and the sizes of memories that `given`, the options
  /// of the command line, leave open; ConfigError where that is nothing, or less than was asked
  /// for.
  void settle_images_per_class(const continual::TaskStream& drawn, OptionSet& given);

 private:
  void settle_memories(const continual::TaskStream& drawn, OptionSet& given);
  methods::DistillOptions baseline_;
};

}  // namespace retort::cli
