#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace retort::cli {

/// Writes report.html of a run folder from its records, recipe and pictures, of a folder of several
/// sets from those of its sets; returns its path. DataError where the folder is neither.
std::filesystem::path write_report(const std::filesystem::path& folder);

/// Runs, or folders of several sets, as they are compared, named by their folders. DataError where
/// one is neither.
std::vector<report::ComparedRun> compared_runs(const std::vector<std::string>& folders);

}  // namespace retort::cli
