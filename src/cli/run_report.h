#pragma once

#include <filesystem>

namespace retort::cli {

/// Writes report.html of a run folder from its records, recipe and pictures; returns its path.
/// DataError where the folder is not a run.
std::filesystem::path write_report(const std::filesystem::path& folder);

}  // namespace retort::cli
