// The pictures that a run folder keeps, as its page shows them.
#pragma once

#include <filesystem>
#include <vector>

#include "retort/report/page.h"

namespace retort::cli {

/// The set, its bases, its images over iterations, what `retort recall` drew: as far as they are
/// there.
std::vector<report::Figure> pictures_of(const std::filesystem::path& folder);

}  // namespace retort::cli
