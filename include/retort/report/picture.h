// Pictures: grids of images, as PNG bytes. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::report {

bool png_available();

/// 8-bit pixels, interleaved RGB or grey, row after row.
struct Picture {
  int64_t width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;
};

/// PNG bytes; ResourceError where the build has no libpng.
std::string encode_png(const Picture& picture);

/// Images in planar [C, H, W] bytes, grouped into rows by class, with the class name written at the
/// left of each row in a small built-in font. At most `per_row` images a class are drawn.
struct GridRow {
  std::string label;
  std::vector<std::vector<uint8_t>> images;
};
Picture draw_grid(const std::vector<GridRow>& rows, int64_t channels, int64_t height, int64_t width,
                  int64_t per_row = 10, int64_t scale = 0 /* 0: chosen so that images are seen */);

}  // namespace retort::report
