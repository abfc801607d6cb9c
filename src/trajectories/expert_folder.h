// What training and importing experts share: plans of files, results and their records.
#pragma once

#include <filesystem>
#include <optional>

#include "retort/core/recipe_folder.h"
#include "retort/trajectories/experts.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {

inline FolderKind expert_folder_kind() {
  return {"folder of experts", "count"};
}

/// The plan of any expert of this input, without its number.
TrajectoryPlan plan_of(const ExpertInput& input, const std::filesystem::path& folder);

/// The result in a finished file; StateError where it was made for something else than the plan.
ExpertResult finished_result(const TrajectoryPlan& plan);

/// Adds records of kind "expert" for those that have none, in their order, with the `seconds` that
/// each took where they are given.
void record_results(const std::filesystem::path& folder, const std::vector<ExpertResult>& results,
                    std::optional<double> seconds = {});

}  // namespace retort::trajectories
