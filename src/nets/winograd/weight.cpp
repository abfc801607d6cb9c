// The weight's cotangent: inputs and cotangents of tiles are transformed, each element of a tile is
// a product [in, tiles] [tiles, out], added up over the pieces in their order, and transformed back
// once. A row of elements is made at a time, of a group of channels: its sums stay in the second
// cache while all tiles pass, which is worth transforming a square's columns once for each row.
#include "nets/winograd/plan.h"
#include "nets/winograd/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/weight.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// The channels [in_begin, in_begin + in) and outputs whose sums are made together.
struct ChannelGroup {
  int64_t in_begin, in, out_begin, out;
};

/// Row kRow of the elements of tiles' inputs, to [kSide, in / 16, count, 16].
template <int kTile, int kRow>
HWY_INLINE void input_row(const WinogradShape& s, const ChannelGroup& g, int64_t begin,
                          int64_t count, const float* input, float* to) {
  constexpr int kSide = kTile + 2;
  using T = Transform<kTile>;
  const Floats d;
  const int64_t map = s.height * s.width, step = element_step(count * g.in);
  for (int64_t i = 0; i < g.in; i += kLanes)
    each_tile(s, begin, count, [&](int64_t t, const TilePlace& place) HWY_ATTR {
      const int64_t block = g.in_begin + i / kBlock * kBlock;
      const float* from = input + (place.image * s.in + block) * map + i % kBlock;
      float* target = to + i / kBlock * kBlock * count + t * kBlock + i % kBlock;
      row_both_ways<typename T::Input, kRow, kSide, kSide>(
          d, [](auto own, const auto* x, auto* y) HWY_ATTR { T::input(own, x, y); },
          Square<kSide>(s.height, s.width, place.top - 1, place.left - 1, from),
          [&](auto j, auto v) HWY_ATTR { hn::Store(v, d, target + j * step); });
    });
}

/// The same of cotangents, to panels [out / 32, kSide, count, 32].
template <int kTile, int kRow>
HWY_INLINE void cotangent_row(const WinogradShape& s, const ChannelGroup& g, int64_t begin,
                              int64_t count, const float* doutput, float* to) {
  constexpr int kSide = kTile + 2;
  using T = Transform<kTile>;
  const Floats d;
  const int64_t map = s.height * s.width;
  for (int64_t o = 0; o < g.out; o += kLanes) {
    const int64_t panel = o / kPanel * kPanel, width = std::min(kPanel, g.out - panel);
    const int64_t step = element_step(count * width);
    const int64_t block = g.out_begin + o / kBlock * kBlock;
    float* columns = to + panel / kPanel * kSide * element_step(count * kPanel) + (o - panel);
    each_tile(s, begin, count, [&](int64_t t, const TilePlace& place) HWY_ATTR {
      const float* from = doutput + (place.image * s.out + block) * map + o % kBlock;
      float* target = columns + t * width;
      row_both_ways<typename T::OutputBack, kRow, kTile, kSide>(
          d, [](auto own, const auto* x, auto* y) HWY_ATTR { T::output_back(own, x, y); },
          Square<kTile>(s.height, s.width, place.top, place.left, from),
          [&](auto j, auto v) HWY_ATTR { hn::Store(v, d, target + j * step); });
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

/// Where a call works.
struct WeightPlaces {
  float *input, *cotangent, *sums, *halves;
};

/// Sums of a row of elements, transformed back along it, to [in, panel, 3]... of this row.
template <int kTile>
HWY_INLINE void half_back(int64_t in, int64_t width, const float* sums, int64_t step, float* half) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  const int64_t size = in * width;
  for (int64_t k = 0; k < size; k += kLanes) {
    hn::Vec<Floats> u[to_size(kSide)], w[to_size(kSide)];
    unroll<kSide>([&](auto j) HWY_ATTR { u[j] = hn::Load(d, sums + j * step + k); });
    Transform<kTile>::weight_back(d, u, w);
    unroll<3>([&](auto x) HWY_ATTR { hn::Store(w[x], d, half + x * step + k); });
  }
}

/// Adds the halves of a panel [kSide, 3, in, width], transformed back, to plain weights.
template <int kTile>
HWY_INLINE void unpack(const WinogradShape& s, const ChannelGroup& g, int64_t panel, int64_t width,
                       const float* halves, float* dweight) {
  constexpr int kSide = kTile + 2;
  const Floats d;
  HWY_ALIGN float taps[kBlock * 9 * kBlock];
  const int64_t step = element_step(g.in * width);
  for (int64_t o = 0; o < width; o += kBlock)
    for (int64_t first = 0; first < g.in; first += kBlock) {
      for (int64_t i = 0; i < kBlock; ++i)
        for (int64_t c = 0; c < kBlock; c += kLanes)
          unroll<3>([&](auto x) HWY_ATTR {
            const float* from = halves + x * step + (first + i) * width + o + c;
            hn::Vec<Floats> u[to_size(kSide)], w[to_size(kSide)];
            unroll<kSide>([&](auto row) HWY_ATTR { u[row] = hn::Load(d, from + row * 3 * step); });
            Transform<kTile>::weight_back(d, u, w);
            unroll<3>([&](auto y) HWY_ATTR {
              hn::Store(w[y], d, taps + (i * 9 + y * 3 + x) * kBlock + c);
            });
          });
      add_turned(taps, dweight + ((g.out_begin + panel + o) * s.in + g.in_begin + first) * 9,
                 s.in * 9);
    }
}

/// The products of a row of elements of all tiles.
template <int kTile, int kRow>
void weight_row(const WinogradShape& s, const ChannelGroup& g, const float* input,
                const float* doutput, const WeightPlaces& places, const WinogradTerm& more) {
  constexpr int64_t kSide = kTile + 2;
  const TileCut cut = cut_sums(s);
  const int64_t panel_step = kSide * element_step(g.in * kPanel);
  const int64_t pieces = more.input ? 2 * cut.pieces : cut.pieces;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const bool second = piece >= cut.pieces;
    const int64_t own = second ? piece - cut.pieces : piece;
    const int64_t begin = cut.begin(s, own), count = cut.begin(s, own + 1) - begin;
    const int64_t step = element_step(count * g.in);
    input_row<kTile, kRow>(s, g, begin, count, second ? more.input : input, places.input);
    cotangent_row<kTile, kRow>(s, g, begin, count, second ? more.other : doutput, places.cotangent);
    for (int64_t e = 0; e < kSide; ++e)
      for (int64_t panel = 0; panel < g.out; panel += kPanel) {
        const int64_t width = std::min(kPanel, g.out - panel);
        outer_products(piece > 0, g.in, width, count, places.input + e * step,
                       places.cotangent + panel / kPanel * kSide * element_step(count * kPanel) +
                           e * element_step(count * width),
                       places.sums + panel / kPanel * panel_step + e * element_step(g.in * width));
      }
  }
  for (int64_t panel = 0; panel < g.out; panel += kPanel) {
    const int64_t width = std::min(kPanel, g.out - panel), step = element_step(g.in * width);
    half_back<kTile>(g.in, width, places.sums + panel / kPanel * panel_step, step,
                     places.halves + panel / kPanel * 3 * panel_step + kRow * 3 * step);
  }
}

/// The groups of a shape, by the inputs first.
HWY_INLINE ChannelGroup group_of(const WinogradShape& s, int64_t index) {
  const int64_t across = (s.out + kGroup - 1) / kGroup;
  const int64_t i = index / across * kGroup, o = index % across * kGroup;
  return {i, std::min(kGroup, s.in - i), o, std::min(kGroup, s.out - o)};
}

template <int kTile>
HWY_INLINE void weight(const WinogradShape& s, int64_t index, const float* input,
                       const float* doutput, float* dweight, float* scratch,
                       const WinogradTerm& more) {
  constexpr int kSide = kTile + 2;
  const int64_t tiles = cut_sums(s).most, in = std::min(s.in, kGroup);
  const int64_t out = panels_of(std::min(s.out, kGroup));
  WeightPlaces places{scratch, nullptr, nullptr, nullptr};
  places.cotangent = places.input + kSide * element_step(tiles * in);
  places.sums = places.cotangent + out * kSide * element_step(tiles * kPanel);
  places.halves = places.sums + out * kSide * element_step(in * kPanel);
  const ChannelGroup group = group_of(s, index);
  unroll<kSide>([&](auto row)
                    HWY_ATTR { weight_row<kTile, row>(s, group, input, doutput, places, more); });
  for (int64_t panel = 0; panel < group.out; panel += kPanel)
    unpack<kTile>(s, group, panel, std::min(kPanel, group.out - panel),
                  places.halves + panel / kPanel * 3 * kSide * element_step(group.in * kPanel),
                  dweight);
}

void WinogradWeight(const WinogradShape& s, int64_t group, const float* input, const float* doutput,
                    float* dweight, float* scratch, const WinogradTerm& more) {
  if (s.tile == WinogradTile::k4)
    weight<4>(s, group, input, doutput, dweight, scratch, more);
  else
    weight<2>(s, group, input, doutput, dweight, scratch, more);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(WinogradWeight);

int64_t winograd_weight_scratch(const WinogradShape& s) {
  const int64_t side = static_cast<int64_t>(s.tile) + 2;
  const int64_t tiles = cut_sums(s).most, in = std::min(s.in, kGroup);
  const int64_t out = panels_of(std::min(s.out, kGroup));
  return side * (element_step(tiles * in) + out * element_step(tiles * kPanel) +
                 4 * out * element_step(in * kPanel));
}

int64_t winograd_weight_groups(const WinogradShape& s) {
  return (s.in + kGroup - 1) / kGroup * ((s.out + kGroup - 1) / kGroup);
}

void winograd_weight_group(const WinogradShape& shape, int64_t group, const float* input,
                           const float* doutput, float* dweight, float* scratch,
                           const WinogradTerm& more) {
  HWY_DYNAMIC_DISPATCH(WinogradWeight)(shape, group, input, doutput, dweight, scratch, more);
}

void winograd_weight(const WinogradShape& shape, const float* input, const float* doutput,
                     float* dweight, float* scratch, const WinogradTerm& more) {
  for (int64_t group = 0; group < winograd_weight_groups(shape); ++group)
    winograd_weight_group(shape, group, input, doutput, dweight, scratch, more);
}

}  // namespace retort::nets
#endif
