// Transforms of the tiles of a piece between maps and matrices.
#if defined(RETORT_WINOGRAD_TILES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_WINOGRAD_TILES_INL
#undef RETORT_WINOGRAD_TILES_INL
#else
#define RETORT_WINOGRAD_TILES_INL
#endif

#include <hwy/highway.h>

#include "nets/winograd/plan.h"
#include "nets/winograd/products_inl.h"
#include "nets/winograd/transforms_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// A square of kSide x kSide vectors whose corner is row `top`, column `left` of a map: rows
/// outside are read as zeros, columns outside are to be left alone.
template <int kSide>
struct Square {
  HWY_INLINE Square(int64_t height, int64_t width, int64_t top, int64_t left, const float* map)
      : begin(-left), end(width - left) {
    HWY_ALIGN static constexpr float kZeros[to_size(kSide * kBlock)] = {};
    for (int64_t i = 0; i < kSide; ++i)
      rows[i] =
          top + i >= 0 && top + i < height ? map + ((top + i) * width + left) * kBlock : kZeros;
  }
  /// j has to be a column inside.
  HWY_INLINE hn::Vec<Floats> load(int64_t i, int64_t j) const {
    return hn::Load(Floats(), rows[i] + j * kBlock);
  }
  HWY_INLINE bool has(int64_t j) const { return j >= begin && j < end; }
  const float* rows[to_size(kSide)];
  int64_t begin, end;
};

/// Inputs [in / 16, H, W, 16] of tiles to [elements, in / 16, count, 16].
template <int kTile>
HWY_INLINE void input_tiles(const WinogradShape& s, int64_t begin, int64_t count,
                            const float* input, float* to, int64_t step) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  const int64_t map = s.height * s.width;
  for (int64_t i = 0; i < s.in; i += kLanes)
    each_tile(s, begin, count, [&](int64_t t, const TilePlace& place) HWY_ATTR {
      const float* from = input + (place.image * s.in + i / kBlock * kBlock) * map + i % kBlock;
      float* target = to + i / kBlock * kBlock * count + t * kBlock + i % kBlock;
      both_ways<kSide, kSide>(
          d, [](auto own, const auto* x, auto* y) HWY_ATTR { Transform<kTile>::input(own, x, y); },
          Square<kSide>(s.height, s.width, place.top - 1, place.left - 1, from),
          [&](int64_t y, int64_t x, auto v)
              HWY_ATTR { hn::Store(v, d, target + (y * kSide + x) * step); });
    });
}

/// The taps of a block of channels.
struct Taps {
  HWY_INLINE hn::Vec<Floats> load(int64_t i, int64_t j) const {
    return hn::Load(Floats(), from + (3 * i + j) * kBlock);
  }
  static constexpr bool has(int64_t) { return true; }
  const float* from;
};

/// The elements of a tile, `step` apart.
template <int kSide>
struct Elements {
  HWY_INLINE hn::Vec<Floats> load(int64_t i, int64_t j) const {
    return hn::Load(Floats(), from + (i * kSide + j) * step);
  }
  static constexpr bool has(int64_t) { return true; }
  const float* from;
  int64_t step;
};

/// [elements, count, width] of a panel to outputs [out / 16, H, W, 16].
template <int kTile>
HWY_INLINE void output_tiles(const WinogradShape& s, int64_t begin, int64_t count, int64_t panel,
                             const float* made, int64_t step, float* output) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  const int64_t map = s.height * s.width, row = s.width * kBlock;
  const int64_t width = std::min(kPanel, s.out - panel);
  for (int64_t o = 0; o < width; o += kLanes)
    each_tile(s, begin, count, [&](int64_t t, const TilePlace& place) HWY_ATTR {
      const int64_t rows = std::min<int64_t>(kTile, s.height - place.top);
      const int64_t columns = std::min<int64_t>(kTile, s.width - place.left);
      const float* from = made + t * width + o;
      float* to = output + (place.image * s.out + panel + o / kBlock * kBlock) * map +
                  place.top * row + place.left * kBlock + o % kBlock;
      const auto made_by = [&](const auto& store) HWY_ATTR {
        both_ways<kSide, kTile>(
            d,
            [](auto own, const auto* x, auto* y) HWY_ATTR { Transform<kTile>::output(own, x, y); },
            Elements<kSide>{from, step}, store);
      };
      const auto put = [&](int64_t y, int64_t x, auto v)
                           HWY_ATTR { hn::Store(v, d, to + y * row + x * kBlock); };
      if (rows == kTile && columns == kTile)
        made_by(put);
      else
        made_by([&](int64_t y, int64_t x, auto v) HWY_ATTR {
          if (y < rows && x < columns) put(y, x, v);
        });
    });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
