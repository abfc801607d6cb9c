// How a call is cut: tiles that are taken together, so that what they become stays in cache.
#pragma once

#include <algorithm>

#include "nets/winograd/first_layer.h"
#include "nets/winograd/winograd.h"

namespace retort::nets {

constexpr int64_t kPanel = 32;  ///< output channels of a panel of weights

/// Where a tile lies.
struct TilePlace {
  int64_t image, top, left;  ///< of its first output
};

/// Calls visit(t, place) for tiles begin + t, t < count.
template <class Visit>
inline void each_tile(const WinogradShape& s, int64_t begin, int64_t count, const Visit& visit) {
  const int64_t side = static_cast<int64_t>(s.tile);
  const int64_t across = (s.width + side - 1) / side, down = (s.height + side - 1) / side;
  TilePlace place{begin / (across * down), begin / across % down * side, begin % across * side};
  for (int64_t t = 0; t < count; ++t) {
    visit(t, place);
    if ((place.left += side) < s.width) continue;
    place.left = 0;
    if ((place.top += side) < s.height) continue;
    place.top = 0, ++place.image;
  }
}

inline int64_t elements(const WinogradShape& s) {
  const int64_t side = static_cast<int64_t>(s.tile) + 2;
  return side * side;
}

/// The tiles of a call in pieces of nearly equal size.
struct TileCut {
  int64_t pieces, most;
  int64_t begin(const WinogradShape& s, int64_t piece) const { return s.tiles() * piece / pieces; }
};

inline TileCut cut_tiles(const WinogradShape& s, int64_t at_most) {
  const int64_t pieces = std::max<int64_t>(1, (s.tiles() + at_most - 1) / at_most);
  return {pieces, (s.tiles() + pieces - 1) / pieces};
}

/// Tiles whose transformed inputs fill a quarter of a second cache of a megabyte.
inline int64_t tiles_at_once(const WinogradShape& s) {
  constexpr int64_t kFloats = 64 * 1024, kLeast = 14;
  return std::max(kLeast, kFloats / (elements(s) * s.in) / kLeast * kLeast);
}

inline int64_t panels_of(int64_t outputs) {
  return (outputs + kPanel - 1) / kPanel;
}

inline int64_t panels(const WinogradShape& s) {
  return panels_of(s.out);
}

/// Floats from one element to the next where an element has `size`: an odd number of cache lines.
inline int64_t element_step(int64_t size) {
  return (size / 16 | 1) * 16;
}

/// Where the weights of the panel that begins at output `panel` lie.
inline int64_t panel_place(const WinogradShape& s, int64_t panel) {
  return panel / kPanel * elements(s) * element_step(s.in * kPanel);
}

constexpr int64_t kFirstElements = 36;  ///< of a tile of the first layer, at most

/// Floats of an image with a border of zeros, up to whole tiles.
inline int64_t first_padded(const FirstShape& s) {
  const int64_t size = s.tiled_height() * s.tiled_width() * kFirstChannels;
  return (size + kWinogradBlock - 1) / kWinogradBlock * kWinogradBlock;
}

/// Floats of its tiles' elements: at most those of four F(2x2) for 4x4 outputs.
inline int64_t first_elements(const FirstShape& s) {
  return (s.tiled_height() - 2) / 4 * ((s.tiled_width() - 2) / 4) * 64 * kFirstChannels;
}

/// What a position of the first layer's cotangent adds to its neighbours, in whole blocks.
inline int64_t first_columns(const FirstShape& s) {
  return (s.taps() + kWinogradBlock - 1) / kWinogradBlock * kWinogradBlock;
}

/// Channels, and outputs, of a group whose sums for the weight's cotangent are made together.
constexpr int64_t kGroup = 128;

/// The tiles of such sums: with a row of six elements they fill two thirds of a second cache of a
/// megabyte.
inline TileCut cut_sums(const WinogradShape& s) {
  constexpr int64_t kMost = 64;
  return cut_tiles(s, kMost);
}

}  // namespace retort::nets
