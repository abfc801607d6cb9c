// Putting together what independent jobs have learned of one set, each its shard.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "retort/synthetic/bundle.h"

namespace retort::methods {

/// A set from its shards, and what a run folder of it holds.
struct Merged {
  synthetic::Bundle bundle;
  std::string recipe;  ///< of a run without shards
  int64_t iteration = 0;
  double seconds = 0;  ///< of all jobs together
};

/// Every row of the set from the run that moved it: the bytes of one run without shards. DataError
/// where a run is not finished; StateError where a shard is missing or there twice, or runs differ
/// in more than their shard.
Merged merge_shards(const std::vector<std::filesystem::path>& runs);

/// Writes it as a finished run into a new folder; StateError where something is there.
void write_merged(const Merged& merged, const std::filesystem::path& first_run,
                  const std::filesystem::path& folder);

}  // namespace retort::methods
