// What one command line of `retort distill` sets, and a run of it.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "retort/data/dataset.h"
#include "retort/methods/experiment.h"

namespace retort::cli {

/// Everything that one command line sets.
struct DistillSettings {
  methods::Experiment experiment;
  data::DataOptions data;
  MachineOptions machine;
  std::string out, recipe, memory_limit;
  OptionSet options;  ///< all of these

  DistillSettings(const std::string& method, const std::string& parametrisation);
  DistillSettings(methods::MethodEntry method, const std::string& parametrisation);
  DistillSettings(const DistillSettings&) = delete;
  DistillSettings& operator=(const DistillSettings&) = delete;
  const methods::DistillOptions& loop() const { return experiment.settings(); }
};

/// Keys of a recipe that are no options of a run.
std::vector<std::string> keys_beside_distill();

/// Takes over what the files say that are given, such as their split, and checks what needs no
/// data.
void settle(DistillSettings& settings);

/// Refuses what can be refused before there are experts.
void check_distil(const Environment& environment, DistillSettings& settings);

/// Starts the run or goes on with it, and prints what came of it; the exit code.
int distil(const Environment& environment, DistillSettings& settings);

/// What came of a run, as a table or as JSON; writes its page.
void print_result(const Environment& environment, const DistillSettings& settings,
                  const methods::DistillOutcome& outcome);

}  // namespace retort::cli
