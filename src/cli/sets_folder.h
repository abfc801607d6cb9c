// A folder of several sets of one recipe, one for each seed: OUT/seed-0, OUT/seed-1, each a run
// folder like any other; records.jsonl and report.html beside them are of all together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "retort/core/options.h"

namespace retort::cli {

/// One of the sets.
struct SeedFolder {
  int64_t seed = 0;
  std::filesystem::path path;
  std::string name() const { return path.filename().string(); }
};

SeedFolder seed_folder(const std::filesystem::path& out, int64_t seed);

/// The runs in a folder of sets, by ascending seed; none where it is no such folder.
std::vector<SeedFolder> sets_in(const std::filesystem::path& folder);

/// The folders of --seeds; wrong or equal seeds are problems.
std::vector<SeedFolder> seed_folders(const std::filesystem::path& out,
                                     const std::vector<std::string>& seeds, Problems& problems);

}  // namespace retort::cli
