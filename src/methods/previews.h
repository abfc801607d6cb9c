#pragma once

#include <filesystem>

#include "report/picture.h"
#include "retort/synthetic/bundle.h"

namespace retort::methods {

/// Writes a PNG grid of the set, one row a class; nothing where the build has no libpng.
void save_preview(const std::filesystem::path& path, const synthetic::Bundle& bundle);

/// Writes a PNG grid of the bases that a set of memories is combined from, each stretched to the
/// whole range of pixels; nothing where it has none.
void save_bases(const std::filesystem::path& path, const synthetic::Bundle& bundle);

}  // namespace retort::methods
