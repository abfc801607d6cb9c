// What one command line of `retort experts` sets, and the making of the experts.
#pragma once

#include <string>

#include "cli/arguments.h"
#include "retort/data/dataset.h"
#include "retort/trajectories/experts.h"

namespace retort::cli {

/// Everything that one command line sets.
struct ExpertsSettings {
  trajectories::ExpertOptions experts;
  data::DataOptions data;
  MachineOptions machine;
  std::string out;
  OptionSet options;  ///< all of these

  ExpertsSettings();
  ExpertsSettings(const ExpertsSettings&) = delete;
  ExpertsSettings& operator=(const ExpertsSettings&) = delete;
};

/// Trains or imports them, or goes on with it, and prints what came of it; the exit code.
int make_experts(const Environment& environment, ExpertsSettings& settings);

}  // namespace retort::cli
