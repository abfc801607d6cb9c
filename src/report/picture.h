// Pictures: grids of images as pixels; `data` turns pixels into PNG bytes. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::report {

/// 8-bit pixels, interleaved RGB or grey, row after row.
struct Picture {
  int64_t width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;
};

/// The images of one class, planar [C, H, W] bytes, and the name written at their left.
struct GridRow {
  std::string label;
  std::vector<std::vector<uint8_t>> images;
};

inline constexpr int64_t kGridMargin = 8;  ///< free pixels around a grid
inline constexpr int64_t kGridGap = 2;     ///< free pixels between two images

/// A picture of all rows on a dark ground, at most `per_row` images each, every pixel drawn
/// `scale` x `scale` (0: so that an image is about 64 pixels high). Short rows are laid side by
/// side, the first column read downwards, then the next. Three channels are drawn as RGB, any
/// other number as grey from the first. Throws std::invalid_argument on images of another size.
Picture draw_grid(const std::vector<GridRow>& rows, int64_t channels, int64_t height, int64_t width,
                  int64_t per_row = 10, int64_t scale = 0);

}  // namespace retort::report
