// Pictures of a set that a run leaves behind.
#pragma once

#include <cstdint>
#include <filesystem>

#include "report/picture.h"
#include "retort/synthetic/bundle.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::methods {

/// Writes a PNG grid of the set, one row a class; nothing where the build has no libpng.
void save_preview(const std::filesystem::path& path, const synthetic::Bundle& bundle);

/// Writes a PNG grid of the bases that a set of memories is combined from, each stretched to the
/// whole range of pixels; nothing where it has none.
void save_bases(const std::filesystem::path& path, const synthetic::Bundle& bundle);

/// Whether a row of images is kept after so many iterations: 1, 2 and 5 times powers of ten, so
/// that it does not depend on how many follow.
bool keeps_row(int64_t iterations);

/// Writes the first image of each of the first ten classes side by side, pixel for pixel, as
/// `folder`/row-N-ITERATIONS.png, N images; nothing where the build has no libpng. `images` are as
/// a network sees them.
void save_row(const std::filesystem::path& folder, int64_t iterations, const at::Tensor& images,
              const synthetic::SetLayout& layout, const data::Preprocessing& preprocessing);

}  // namespace retort::methods
