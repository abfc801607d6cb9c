// What one command line of `retort continual` sets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "retort/continual/continual.h"
#include "retort/data/dataset.h"
#include "retort/methods/distill.h"

namespace retort::cli {

/// Everything that one command line sets.
struct Continual {
  continual::ContinualOptions stream;
  methods::DistillOptions loop;
  data::DataOptions data;
  MachineOptions machine;
  std::vector<std::string> uses;
  std::string name, out;
  std::unique_ptr<methods::Method> method;  ///< null for the baselines
  std::unique_ptr<synthetic::ParametrisationKind> parametrisation;
  int64_t order = 0, task = 0;  ///< of a set's own recipe

  Continual(const std::string& stream_name, const std::string& method_name,
            const std::string& parametrisation_name);

  const continual::StreamKind& kind() const { return continual::find_stream(stream.stream); }

  /// What the stored sets are made with.
  void declare_sets(OptionSet& set);

  /// The command line.
  void declare(OptionSet& set);

  /// What all methods in a folder share.
  void declare_shared(OptionSet& set);

  /// What decides one stored set.
  void declare_task(OptionSet& set);

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
};

}  // namespace retort::cli
