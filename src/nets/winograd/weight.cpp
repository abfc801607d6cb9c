// The weight's cotangent: inputs and cotangents of tiles are transformed, each element of a tile is
// a product [in, tiles] [tiles, out], added up over the pieces in their order, and transformed once
// at the end.
#include "nets/winograd/plan.h"
#include "nets/winograd/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/weight.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Cotangents [out / 16, H, W, 16] of tiles to panels [out / 32, elements, count, 32].
template <int kTile>
HWY_INLINE void cotangent_tiles(const WinogradShape& s, int64_t begin, int64_t count,
                                const float* doutput, float* to) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  const int64_t map = s.height * s.width;
  for (int64_t o = 0; o < s.out; o += kLanes) {
    const int64_t block = o / kBlock * kBlock, panel = o / kPanel * kPanel;
    const int64_t width = std::min(kPanel, s.out - panel), step = element_step(count * width);
    float* columns =
        to + kSide * kSide * (panel / kPanel) * element_step(count * kPanel) + (o - panel);
    each_tile(s, begin, count, [&](int64_t t, const TilePlace& place) HWY_ATTR {
      const float* from = doutput + (place.image * s.out + block) * map + o % kBlock;
      float* target = columns + t * width;
      with_square<kTile>(s, place.top, place.left, from, [&](const auto& load) HWY_ATTR {
        both_ways<kTile, kSide>(
            d,
            [](auto own, const auto* x, auto* y)
                HWY_ATTR { Transform<kTile>::output_back(own, x, y); },
            load,
            [&](int64_t y, int64_t x, auto v)
                HWY_ATTR { hn::Store(v, d, target + (y * kSide + x) * step); });
      });
    });
  }
}

/// Adds [144, 16] turned to [16, 144] to rows of plain weights `step` apart.
HWY_INLINE void add_turned(const float* from, float* to, int64_t step) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t k = 0; k < kBlock; ++k)
    for (int64_t t = 0; t < 9 * kBlock; ++t) to[k * step + t] += from[t * kBlock + k];
#else
  const hn::FixedTag<float, 4> d;
  for (int64_t k = 0; k < kBlock; k += 4)
    for (int64_t t = 0; t < 9 * kBlock; t += 4) {
      const float* source = from + t * kBlock + k;
      const auto a = hn::Load(d, source), b = hn::Load(d, source + kBlock);
      const auto e = hn::Load(d, source + 2 * kBlock), f = hn::Load(d, source + 3 * kBlock);
      const auto low = hn::InterleaveLower(d, a, e), high = hn::InterleaveUpper(d, a, e);
      const auto low2 = hn::InterleaveLower(d, b, f), high2 = hn::InterleaveUpper(d, b, f);
      const auto add = [&](int64_t row, auto v) HWY_ATTR {
        float* place = to + (k + row) * step + t;
        hn::StoreU(hn::Add(hn::LoadU(d, place), v), d, place);
      };
      add(0, hn::InterleaveLower(d, low, low2));
      add(1, hn::InterleaveUpper(d, low, low2));
      add(2, hn::InterleaveLower(d, high, high2));
      add(3, hn::InterleaveUpper(d, high, high2));
    }
#endif
}

/// Adds the sums of a panel [elements, in, width], transformed back, to plain weights.
template <int kTile>
HWY_INLINE void unpack(const WinogradShape& s, int64_t panel, int64_t width, const float* sums,
                       float* dweight) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  HWY_ALIGN float taps[kBlock * 9 * kBlock];
  const int64_t step = element_step(s.in * width);
  for (int64_t o = 0; o < width; o += kBlock)
    for (int64_t first = 0; first < s.in; first += kBlock) {
      for (int64_t i = 0; i < kBlock; ++i)
        for (int64_t c = 0; c < kBlock; c += kLanes)
          both_ways<kSide, 3>(
              d,
              [](auto one, const auto* x, auto* y)
                  HWY_ATTR { Transform<kTile>::weight_back(one, x, y); },
              [&](int64_t y, int64_t x) HWY_ATTR {
                return hn::Load(d, sums + (y * kSide + x) * step + (first + i) * width + o + c);
              },
              [&](int64_t y, int64_t x, auto v)
                  HWY_ATTR { hn::Store(v, d, taps + (i * 9 + y * 3 + x) * kBlock + c); });
      add_turned(taps, dweight + ((panel + o) * s.in + first) * 9, s.in * 9);
    }
}

template <int kTile>
HWY_INLINE void weight(const WinogradShape& s, const float* input, const float* doutput,
                       float* dweight, float* scratch) {
  constexpr int64_t kElements = (kTile + 2) * (kTile + 2);
  const SumsCut cut = cut_sums(s);
  float* cotangents = scratch + kElements * element_step(cut.tiles.most * s.in);
  float* sums = cotangents + panels(s) * kElements * element_step(cut.tiles.most * kPanel);
  const int64_t panel_step = kElements * element_step(s.in * kPanel);
  for (int64_t piece = 0; piece < cut.tiles.pieces; ++piece) {
    const int64_t begin = cut.tiles.begin(s, piece), count = cut.tiles.begin(s, piece + 1) - begin;
    const int64_t step = element_step(count * s.in);
    input_tiles<kTile>(s, begin, count, input, scratch, step);
    cotangent_tiles<kTile>(s, begin, count, doutput, cotangents);
    for (int64_t group = 0; group < s.out; group += cut.group) {
      const int64_t end = std::min(s.out, group + cut.group);
      for (int64_t e = 0; e < kElements; ++e)
        for (int64_t panel = group; panel < end; panel += kPanel) {
          const int64_t width = std::min(kPanel, s.out - panel);
          const float* own = cotangents +
                             kElements * (panel / kPanel) * element_step(count * kPanel) +
                             e * element_step(count * width);
          float* sum =
              sums + (panel - group) / kPanel * panel_step + e * element_step(s.in * width);
          outer_products(piece > 0, s.in, width, count, scratch + e * step, own, sum);
        }
      if (piece + 1 < cut.tiles.pieces) continue;
      for (int64_t panel = group; panel < end; panel += kPanel)
        unpack<kTile>(s, panel, std::min(kPanel, s.out - panel),
                      sums + (panel - group) / kPanel * panel_step, dweight);
    }
  }
}

void WinogradWeight(const WinogradShape& s, const float* input, const float* doutput,
                    float* dweight, float* scratch) {
  if (s.tile == WinogradTile::k4)
    weight<4>(s, input, doutput, dweight, scratch);
  else
    weight<2>(s, input, doutput, dweight, scratch);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(WinogradWeight);

int64_t winograd_weight_scratch(const WinogradShape& s) {
  const SumsCut cut = cut_sums(s);
  return elements(s) *
         (element_step(cut.tiles.most * s.in) + panels(s) * element_step(cut.tiles.most * kPanel) +
          (cut.group + kPanel - 1) / kPanel * element_step(s.in * kPanel));
}

void winograd_weight(const WinogradShape& shape, const float* input, const float* doutput,
                     float* dweight, float* scratch) {
  HWY_DYNAMIC_DISPATCH(WinogradWeight)(shape, input, doutput, dweight, scratch);
}

}  // namespace retort::nets
#endif
