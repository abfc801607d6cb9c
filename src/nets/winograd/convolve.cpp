// Tiles of the input are transformed, each of the 16 or 36 elements of a tile is a product of
// matrices [tiles, in] [in, out], and what comes out is transformed back. Tiles go in pieces whose
// transforms stay in the second cache, where every panel of weights meets them.
#include "nets/winograd/plan.h"
#include "nets/winograd/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/convolve.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/products_inl.h"
#include "nets/winograd/tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Sixteen rows of nine taps, `step` apart, to [9, 16]; `turned`: the last tap first.
HWY_INLINE void turn_taps(const float* rows, int64_t step, bool turned, float* taps) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t k = 0; k < kBlock; ++k)
    for (int64_t t = 0; t < 9; ++t) taps[(turned ? 8 - t : t) * kBlock + k] = rows[k * step + t];
#else
  const hn::FixedTag<float, 4> d;
  for (int64_t k = 0; k < kBlock; k += 4)
    for (const int64_t t : {0, 4, 5}) {  // nine in fours: the last ones overlap
      const float* from = rows + k * step + t;
      const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + step);
      const auto e = hn::LoadU(d, from + 2 * step), f = hn::LoadU(d, from + 3 * step);
      const auto low = hn::InterleaveLower(d, a, e), high = hn::InterleaveUpper(d, a, e);
      const auto low2 = hn::InterleaveLower(d, b, f), high2 = hn::InterleaveUpper(d, b, f);
      const auto put = [&](int64_t tap, auto v) HWY_ATTR {
        hn::Store(v, d, taps + (turned ? 8 - tap : tap) * kBlock + k);
      };
      put(t, hn::InterleaveLower(d, low, low2));
      put(t + 1, hn::InterleaveUpper(d, low, low2));
      put(t + 2, hn::InterleaveLower(d, high, high2));
      put(t + 3, hn::InterleaveUpper(d, high, high2));
    }
#endif
}

/// Weights of panels [elements, in, panel]; lanes go over outputs. Taps of several inputs are
/// turned before the first is transformed: a vector is not to be read before its parts are in
/// cache.
template <int kTile>
HWY_INLINE void pack(const WinogradShape& s, const float* plain, bool turned, float* weights) {
  constexpr int kSide = kTile + 2;
  constexpr int64_t kTogether = 8, kTaps = 9 * kBlock;
  const Floats d;
  HWY_ALIGN float taps[kTogether * kTaps];
  for (int64_t o = 0; o < s.out; o += kBlock) {
    const int64_t panel = o / kPanel * kPanel, width = std::min(kPanel, s.out - panel);
    const int64_t step = element_step(s.in * width);
    for (int64_t first = 0; first < s.in; first += kTogether) {
      for (int64_t k = 0; k < kTogether; ++k) {
        const int64_t i = first + k, begin = turned ? i * s.out + o : o * s.in + i;
        turn_taps(plain + begin * 9, turned ? 9 : s.in * 9, turned, taps + k * kTaps);
      }
      for (int64_t k = 0; k < kTogether; ++k) {
        float* to = weights + panel_place(s, panel) + (first + k) * width + (o - panel);
        for (int64_t c = 0; c < kBlock; c += kLanes)
          both_ways<3, kSide>(
              d,
              [](auto own, const auto* x, auto* y)
                  HWY_ATTR { Transform<kTile>::weight(own, x, y); },
              Taps{taps + k * kTaps + c},
              [&](auto y, auto x, auto v)
                  HWY_ATTR { hn::Store(v, d, to + (y * kSide + x) * step + c); });
      }
    }
  }
}

template <int kTile>
HWY_INLINE void convolve(const WinogradShape& s, const float* input, const float* weights,
                         float* output, float* scratch, const WinogradTerm& more) {
  constexpr int64_t kElements = (kTile + 2) * (kTile + 2);
  const TileCut cut = cut_tiles(s, tiles_at_once(s));
  const int64_t size = kElements * element_step(cut.most * s.in);
  float* second = more.input ? scratch + size : nullptr;
  float* made = scratch + (second ? 2 : 1) * size;
  for (int64_t piece = 0; piece < cut.pieces; ++piece) {
    const int64_t begin = cut.begin(s, piece), count = cut.begin(s, piece + 1) - begin;
    const int64_t step = element_step(count * s.in);
    input_tiles<kTile>(s, begin, count, input, scratch, step);
    if (second) input_tiles<kTile>(s, begin, count, more.input, second, step);
    for (int64_t panel = 0; panel < s.out; panel += kPanel) {
      const int64_t width = std::min(kPanel, s.out - panel);
      const int64_t made_step = element_step(count * width);
      const int64_t place = panel_place(s, panel);
      for (int64_t e = 0; e < kElements; ++e) {
        const int64_t from = place + e * element_step(s.in * width);
        multiply(count, width,
                 {scratch + e * step, s.in / kBlock, count * kBlock, weights + from, width,
                  made + e * made_step, width, second ? second + e * step : nullptr,
                  second ? more.other + from : nullptr});
      }
      output_tiles<kTile>(s, begin, count, panel, made, made_step, output);
    }
  }
}

void WinogradPack(const WinogradShape& s, const float* plain, bool turned, float* weights) {
  if (s.tile == WinogradTile::k4)
    pack<4>(s, plain, turned, weights);
  else
    pack<2>(s, plain, turned, weights);
}

void WinogradConvolve(const WinogradShape& s, const float* input, const float* weights,
                      float* output, float* scratch, const WinogradTerm& more) {
  if (s.tile == WinogradTile::k4)
    convolve<4>(s, input, weights, output, scratch, more);
  else
    convolve<2>(s, input, weights, output, scratch, more);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(WinogradPack);
HWY_EXPORT(WinogradConvolve);

int64_t WinogradShape::tiles() const {
  const int64_t side = static_cast<int64_t>(tile);
  return images * ((height + side - 1) / side) * ((width + side - 1) / side);
}

int64_t winograd_weights(const WinogradShape& s) {
  return panel_place(s, panels(s) * kPanel);
}

void winograd_pack(const WinogradShape& shape, const float* plain, bool turned, float* weights) {
  HWY_DYNAMIC_DISPATCH(WinogradPack)(shape, plain, turned, weights);
}

int64_t winograd_scratch(const WinogradShape& s, int64_t terms) {
  const TileCut cut = cut_tiles(s, tiles_at_once(s));
  return elements(s) * (terms * element_step(cut.most * s.in) + element_step(cut.most * kPanel));
}

void winograd_convolve(const WinogradShape& shape, const float* input, const float* weights,
                       float* output, float* scratch, const WinogradTerm& more) {
  HWY_DYNAMIC_DISPATCH(WinogradConvolve)(shape, input, weights, output, scratch, more);
}

}  // namespace retort::nets
#endif
