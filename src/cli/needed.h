// What was made for a run before it began: experts and teachers, and what these took.
#pragma once

#include <filesystem>

#include "retort/core/options.h"

namespace retort::cli {

/// Adds what the options of a finished run name to its records (kind "needed"), as far as the
/// folders of these say what they took. Nothing where it is there already.
void keep_needed(const std::filesystem::path& run, const OptionSet& options);

}  // namespace retort::cli
