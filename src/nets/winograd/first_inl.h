// The first layer's tiles: pixels with their channels side by side, and their elements.
#if defined(RETORT_WINOGRAD_FIRST_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_WINOGRAD_FIRST_INL
#undef RETORT_WINOGRAD_FIRST_INL
#else
#define RETORT_WINOGRAD_FIRST_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "nets/winograd/plan.h"
#include "nets/winograd/tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Without fused products the larger tile rounds more than direct sums do.
constexpr int kTile = HWY_NATIVE_FMA ? 4 : 2, kSide = kTile + 2, kElements = kSide * kSide;
using First = Transform<kTile>;

/// An image [in, H, W] with a border of zeros, its channels side by side: [rows, columns, 4].
HWY_INLINE void pad(const FirstShape& s, const float* image, float* padded) {
  const int64_t row = s.tiled_width() * kFirstChannels;
  std::fill_n(padded, s.tiled_height() * row, 0.0f);
  for (int64_t i = 0; i < s.in; ++i)
    for (int64_t y = 0; y < s.height; ++y) {
      const float* from = image + (i * s.height + y) * s.width;
      float* to = padded + (y + s.padding) * row + s.padding * kFirstChannels + i;
      for (int64_t x = 0; x < s.width; ++x) to[x * kFirstChannels] = from[x];
    }
}

/// Some channels of a tile's inputs.
using Channels = hn::CappedTag<float, kFirstChannels>;
struct Pixels {
  HWY_INLINE auto load(int64_t i, int64_t j) const {
    return hn::LoadU(Channels(), from + i * row + j * kFirstChannels);
  }
  static constexpr bool has(int64_t) { return true; }
  const float* from;
  int64_t row;
};

/// Elements of all tiles of an image [tiles, elements, 4].
HWY_INLINE void first_tiles(const FirstShape& s, const float* image, float* padded, float* to) {
  const Channels d;
  pad(s, image, padded);
  const int64_t row = s.tiled_width() * kFirstChannels;
  for (int64_t top = 0; top < s.map_height(); top += kTile)
    for (int64_t left = 0; left < s.map_width(); left += kTile, to += kElements * kFirstChannels)
      for (int64_t c = 0; c < kFirstChannels; c += static_cast<int64_t>(hn::MaxLanes(d)))
        both_ways<kSide, kSide>(
            d, [](auto own, const auto* x, auto* y) HWY_ATTR { First::input(own, x, y); },
            Pixels{padded + top * row + left * kFirstChannels + c, row},
            [&](auto i, auto j, auto v)
                HWY_ATTR { hn::StoreU(v, d, to + (i * kSide + j) * kFirstChannels + c); });
}

/// Calls visit(t, top, left) for the tiles of an image.
template <class Visit>
HWY_INLINE void each_first(const FirstShape& s, const Visit& visit) {
  int64_t t = 0;
  for (int64_t top = 0; top < s.map_height(); top += kTile)
    for (int64_t left = 0; left < s.map_width(); left += kTile) visit(t++, top, left);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
