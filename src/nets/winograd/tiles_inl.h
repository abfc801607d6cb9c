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

/// Which rows or columns of a square at `first` lie on a map of `size`.
struct Inside {
  Inside(int64_t first, int64_t size, int64_t side)
      : begin(std::max<int64_t>(0, -first)), end(std::min(side, size - first)), all(side) {}
  bool has(int64_t i) const { return i >= begin && i < end; }
  bool whole() const { return begin == 0 && end == all; }
  int64_t begin, end, all;
};

/// Calls visit(load) with load(i, j), the value at row i, column j of a square of kSide whose
/// corner is row `top`, column `left` of a map: zero outside.
template <int kSide, class Visit>
HWY_INLINE void with_square(const WinogradShape& s, int64_t top, int64_t left, const float* map,
                            const Visit& visit) {
  const Floats d;
  const int64_t row = s.width * kBlock;
  const float* corner = map + top * row + left * kBlock;
  const Inside rows(top, s.height, kSide), columns(left, s.width, kSide);
  const auto at = [&](int64_t i, int64_t j)
                      HWY_ATTR { return hn::Load(d, corner + i * row + j * kBlock); };
  if (rows.whole() && columns.whole())
    visit(at);
  else
    visit([&](int64_t i, int64_t j)
              HWY_ATTR { return rows.has(i) && columns.has(j) ? at(i, j) : hn::Zero(d); });
}

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
      with_square<kSide>(s, place.top - 1, place.left - 1, from, [&](const auto& load) HWY_ATTR {
        both_ways<kSide, kSide>(
            d,
            [](auto own, const auto* x, auto* y) HWY_ATTR { Transform<kTile>::input(own, x, y); },
            load,
            [&](int64_t y, int64_t x, auto v)
                HWY_ATTR { hn::Store(v, d, target + (y * kSide + x) * step); });
      });
    });
}

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
      both_ways<kSide, kTile>(
          d, [](auto own, const auto* x, auto* y) HWY_ATTR { Transform<kTile>::output(own, x, y); },
          [&](int64_t y, int64_t x) HWY_ATTR { return hn::Load(d, from + (y * kSide + x) * step); },
          [&](int64_t y, int64_t x, auto v) HWY_ATTR {
            if (y < rows && x < columns) hn::Store(v, d, to + y * row + x * kBlock);
          });
    });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
