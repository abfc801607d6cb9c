#include "nets/winograd/first_layer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/first_back.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/first_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Adds what positions of the map add to row `row` of an image: [positions, columns] are in cache
/// for the three rows of the map that reach it.
HWY_INLINE void add_to_row(const FirstShape& s, int64_t row, const float* added, float* image) {
  const int64_t columns = first_columns(s);
  for (int64_t i = 0; i < s.in; ++i)
    for (int64_t tap = 0; tap < 9; ++tap) {
      // Position y, x of the map lies on pixel y + down, x + across.
      const int64_t y = row - (tap / 3 - s.padding), across = tap % 3 - s.padding;
      if (y < 0 || y >= s.map_height()) continue;
      const int64_t left = std::max<int64_t>(0, -across);
      const int64_t right = std::min(s.map_width(), s.width - across);
      const float* from = added + y * s.map_width() * columns + i * 9 + tap;
      float* to = image + (i * s.height + row) * s.width + across;
      for (int64_t x = left; x < right; ++x) to[x] += from[x * columns];
    }
}

/// What every position adds to its neighbours, by a product; then added up.
void FirstInput(const FirstShape& s, const float* doutput, const float* turned, float* dinput,
                float* scratch, const WinogradTerm& more) {
  const int64_t columns = first_columns(s), size = s.out * s.positions();
  for (int64_t n = 0; n < s.images; ++n) {
    multiply(s.positions(), columns,
             {doutput + n * size, s.out / kBlock, s.positions() * kBlock, turned, columns, scratch,
              columns, more.input ? more.input + n * size : nullptr, more.other});
    for (int64_t row = 0; row < s.height; ++row)
      add_to_row(s, row, scratch, dinput + n * s.input_size());
  }
}

/// Adds the products of row kRow of the elements, columns kFirst and the next, of kIn channels with
/// a vector of outputs.
template <int kIn, int kRow, int kFirst, int kColumns>
void first_sums(const FirstShape& s, const float* tiles, const float* doutput, float* sums) {
  const Floats d;
  hn::Vec<Floats> sum[to_size(kColumns)][to_size(kIn)];
  float* own = sums + (kRow * kSide + kFirst) * kIn * kBlock;
  unroll<kColumns>([&](auto j) RETORT_INLINE_LAMBDA {
    unroll<kIn>([&](auto c) RETORT_INLINE_LAMBDA {
      sum[j][c] = hn::Load(d, own + (j * kIn + c) * kBlock);
    });
  });
  each_first(s, [&](int64_t t, int64_t top, int64_t left) RETORT_INLINE_LAMBDA {
    const float* tile = tiles + (t * kElements + kRow * kSide + kFirst) * kFirstChannels;
    row_both_ways<First::OutputBack, kRow, kTile, kSide>(
        d,
        [](auto one, const auto* x, auto* y)
            RETORT_INLINE_LAMBDA { First::output_back(one, x, y); },
        Square<kTile>(s.map_height(), s.map_width(), top, left, doutput),
        [&](auto column, auto v) RETORT_INLINE_LAMBDA {
          constexpr int j = column - kFirst;
          if constexpr (j >= 0 && j < kColumns)
            unroll<kIn>([&](auto c) RETORT_INLINE_LAMBDA {
              sum[j][c] = hn::MulAdd(hn::Set(d, tile[j * kFirstChannels + c]), v, sum[j][c]);
            });
        });
  });
  unroll<kColumns>([&](auto j) RETORT_INLINE_LAMBDA {
    unroll<kIn>([&](auto c) RETORT_INLINE_LAMBDA {
      hn::Store(sum[j][c], d, own + (j * kIn + c) * kBlock);
    });
  });
}

/// All elements, as many columns at a time as registers hold the sums of.
template <int kIn>
void first_products(const FirstShape& s, const float* tiles, const float* doutput, float* sums) {
  constexpr int kColumns = HWY_TARGET <= HWY_AVX3 && kIn < 4 ? kSide : kSide / 2;
  unroll<kSide>([&](auto row) HWY_ATTR {
    unroll<kSide / kColumns>([&](auto part) HWY_ATTR {
      first_sums<kIn, row, part * kColumns, kColumns>(s, tiles, doutput, sums);
    });
  });
}

using FirstProducts = void (*)(const FirstShape&, const float*, const float*, float*);
template <int... kIndex>
constexpr std::array<FirstProducts, sizeof...(kIndex)> all_first_products(
    std::integer_sequence<int, kIndex...>) {
  return {&first_products<kIndex + 1>...};
}

void FirstWeight(const FirstShape& s, const float* input, const float* doutput, float* dweight,
                 float* scratch) {
  static constexpr auto kProducts =
      all_first_products(std::make_integer_sequence<int, kFirstChannels>{});
  const Floats d;
  float* tiles = scratch + first_padded(s);
  float* sums = tiles + first_elements(s);  // [out / 16, elements, in, 16]
  std::fill_n(sums, kElements * s.in * s.out, 0.0f);
  for (int64_t n = 0; n < s.images; ++n) {
    first_tiles(s, input + n * s.input_size(), scratch, tiles);
    for (int64_t o = 0; o < s.out; o += kLanes) {
      const int64_t block = o / kBlock * kBlock, lane = o % kBlock;
      kProducts[to_size(s.in - 1)](s, tiles, doutput + (n * s.out + block) * s.positions() + lane,
                                   sums + block * kElements * s.in + lane);
    }
  }
  HWY_ALIGN float taps[9 * kBlock];
  for (int64_t o = 0; o < s.out; o += kBlock)
    for (int64_t i = 0; i < s.in; ++i) {
      for (int64_t c = 0; c < kBlock; c += kLanes)
        both_ways<kSide, 3>(
            d, [](auto one, const auto* x, auto* y) HWY_ATTR { First::weight_back(one, x, y); },
            Elements<kSide>{sums + o * kElements * s.in + i * kBlock + c, s.in * kBlock},
            [&](auto y, auto x, auto v)
                HWY_ATTR { hn::Store(v, d, taps + (y * 3 + x) * kBlock + c); });
      for (int64_t k = 0; k < kBlock; ++k)
        for (int64_t t = 0; t < 9; ++t)
          dweight[((o + k) * s.in + i) * 9 + t] += taps[t * kBlock + k];
    }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(FirstInput);
HWY_EXPORT(FirstWeight);

void first_input(const FirstShape& shape, const float* doutput, const float* turned, float* dinput,
                 float* scratch, const WinogradTerm& more) {
  HWY_DYNAMIC_DISPATCH(FirstInput)(shape, doutput, turned, dinput, scratch, more);
}

void first_weight(const FirstShape& shape, const float* input, const float* doutput, float* dweight,
                  float* scratch) {
  HWY_DYNAMIC_DISPATCH(FirstWeight)(shape, input, doutput, dweight, scratch);
}

}  // namespace retort::nets
#endif
