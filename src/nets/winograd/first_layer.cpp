#include "nets/winograd/first_layer.h"

#include <algorithm>

#include "nets/winograd/plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/first_layer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/products_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// An image [in, H, W] with a border of zeros.
HWY_INLINE void pad(const FirstShape& s, const float* image, float* padded) {
  const int64_t row = s.padded_width();
  std::fill_n(padded, s.in * s.padded_height() * row, 0.0f);
  for (int64_t i = 0; i < s.in; ++i)
    for (int64_t y = 0; y < s.height; ++y)
      std::copy_n(image + (i * s.height + y) * s.width, s.width,
                  padded + (i * s.padded_height() + y + s.padding) * row + s.padding);
}

/// kOwnRows positions of a row, kOwnVectors vectors of outputs `step` apart.
template <int kOwnRows, int kOwnVectors>
void taps_of(const FirstShape& s, const float* corner, const float* weights, int64_t width,
             float* output, int64_t step) {
  const Floats d;
  using V = hn::Vec<Floats>;
  V sum[to_size(kOwnRows)][to_size(kOwnVectors)];
  unroll<kOwnRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v) HWY_ATTR { sum[r][v] = hn::Zero(d); });
  });
  for (int64_t i = 0; i < s.in; ++i)
    for (int64_t y = 0; y < 3; ++y) {
      const float* row = corner + (i * s.padded_height() + y) * s.padded_width();
      for (int64_t x = 0; x < 3; ++x, weights += width) {
        V right[to_size(kOwnVectors)];
        unroll<kOwnVectors>([&](auto v) HWY_ATTR { right[v] = hn::Load(d, weights + v * kLanes); });
        unroll<kOwnRows>([&](auto r) HWY_ATTR {
          const V left = hn::Set(d, row[x + r]);
          unroll<kOwnVectors>([&](auto v)
                                  HWY_ATTR { sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]); });
        });
      }
    }
  unroll<kOwnRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v) HWY_ATTR {
      const int64_t channel = v * kLanes;
      hn::Store(sum[r][v], d, output + channel / kBlock * step + channel % kBlock + r * kBlock);
    });
  });
}

using Taps = void (*)(const FirstShape&, const float*, const float*, int64_t, float*, int64_t);

template <int kOwnVectors, int... kIndex>
constexpr std::array<Taps, sizeof...(kIndex)> all_taps(std::integer_sequence<int, kIndex...>) {
  return {&taps_of<kIndex + 1, kOwnVectors>...};
}

void FirstForward(const FirstShape& s, const float* input, const float* weights, float* output,
                  float* scratch) {
  static constexpr auto kWide = all_taps<kVectors>(std::make_integer_sequence<int, kRows>{});
  static constexpr auto kNarrow = all_taps<1>(std::make_integer_sequence<int, kRows>{});
  const int64_t across = s.map_width(), strips = (across + kRows - 1) / kRows;
  const int64_t step = s.positions() * kBlock;
  for (int64_t n = 0; n < s.images; ++n) {
    pad(s, input + n * s.input_size(), scratch);
    for (int64_t o = 0; o < s.out;) {
      const int64_t panel = o / kPanel * kPanel, width = std::min(kPanel, s.out - panel);
      const bool wide = panel + width - o >= kVectors * kLanes;
      const auto& table = wide ? kWide : kNarrow;
      const float* own = weights + panel * s.taps() + (o - panel);
      float* map = output + (n * s.out + o / kBlock * kBlock) * s.positions() + o % kBlock;
      for (int64_t y = 0; y < s.map_height(); ++y) {
        int64_t begin = 0;
        for (int64_t strip = 0; strip < strips; ++strip) {
          const int64_t end = across * (strip + 1) / strips;
          table[static_cast<size_t>(end - begin - 1)](s, scratch + y * s.padded_width() + begin,
                                                      own, width,
                                                      map + (y * across + begin) * kBlock, step);
          begin = end;
        }
      }
      o += wide ? kVectors * kLanes : kLanes;
    }
  }
}

/// What every position adds to its neighbours [positions, columns], by a product; then added up.
void FirstInput(const FirstShape& s, const float* doutput, const float* turned, float* dinput,
                float* scratch) {
  const int64_t columns = (s.taps() + kBlock - 1) / kBlock * kBlock;
  for (int64_t n = 0; n < s.images; ++n) {
    multiply(s.positions(), columns,
             {doutput + n * s.out * s.positions(), s.out / kBlock, s.positions() * kBlock, turned,
              columns, scratch, columns});
    for (int64_t i = 0; i < s.in; ++i)
      for (int64_t tap = 0; tap < 9; ++tap) {
        float* image = dinput + (n * s.in + i) * s.height * s.width;
        const float* from = scratch + i * 9 + tap;
        // Position y, x of the map lies on pixel y + down, x + across.
        const int64_t down = tap / 3 - s.padding, across = tap % 3 - s.padding;
        const int64_t left = std::max<int64_t>(0, -across);
        const int64_t right = std::min(s.map_width(), s.width - across);
        const int64_t bottom = std::min(s.map_height(), s.height - down);
        for (int64_t y = std::max<int64_t>(0, -down); y < bottom; ++y)
          for (int64_t x = left; x < right; ++x)
            image[(y + down) * s.width + x + across] += from[(y * s.map_width() + x) * columns];
      }
  }
}

/// Taps of kChannels channels of the input with a vector of outputs.
template <int kChannels>
HWY_INLINE void weight_taps(const FirstShape& s, const float* padded, const float* doutput,
                            float* sums) {
  const Floats d;
  using V = hn::Vec<Floats>;
  const int64_t row = s.padded_width(), image = s.padded_height() * row;
  V sum[to_size(kChannels)][9];
  unroll<kChannels>([&](auto i) HWY_ATTR {
    unroll<9>([&](auto t) HWY_ATTR { sum[i][t] = hn::Load(d, sums + (i * 9 + t) * kBlock); });
  });
  for (int64_t y = 0; y < s.map_height(); ++y)
    for (int64_t x = 0; x < s.map_width(); ++x, doutput += kBlock) {
      HWY_FENCE;  // else pixels are kept for the next position, in registers that sums need
      const V right = hn::Load(d, doutput);
      const float* corner = padded + y * row + x;
      unroll<kChannels>([&](auto i) HWY_ATTR {
        unroll<9>([&](auto t) HWY_ATTR {
          const V left = hn::Set(d, corner[i * image + t / 3 * row + t % 3]);
          sum[i][t] = hn::MulAdd(left, right, sum[i][t]);
        });
      });
    }
  unroll<kChannels>([&](auto i) HWY_ATTR {
    unroll<9>([&](auto t) HWY_ATTR { hn::Store(sum[i][t], d, sums + (i * 9 + t) * kBlock); });
  });
}

void FirstWeight(const FirstShape& s, const float* input, const float* doutput, float* dweight,
                 float* scratch) {
  constexpr int64_t kTogether = HWY_TARGET <= HWY_AVX3 ? 3 : 1;  // channels whose sums fit
  float* sums = scratch + first_padded(s);                       // [out / 16, taps, 16]
  std::fill_n(sums, s.taps() * s.out, 0.0f);
  const int64_t plane = s.padded_height() * s.padded_width();
  for (int64_t n = 0; n < s.images; ++n) {
    pad(s, input + n * s.input_size(), scratch);
    for (int64_t o = 0; o < s.out; o += kLanes) {
      const int64_t block = o / kBlock * kBlock, lane = o % kBlock;
      const float* from = doutput + (n * s.out + block) * s.positions() + lane;
      float* own = sums + block * s.taps() + lane;
      int64_t i = 0;
      for (; i + kTogether <= s.in; i += kTogether)
        weight_taps<kTogether>(s, scratch + i * plane, from, own + i * 9 * kBlock);
      for (; i < s.in; ++i) weight_taps<1>(s, scratch + i * plane, from, own + i * 9 * kBlock);
    }
  }
  for (int64_t o = 0; o < s.out; ++o)
    for (int64_t t = 0; t < s.taps(); ++t)
      dweight[o * s.taps() + t] += sums[(o / kBlock * s.taps() + t) * kBlock + o % kBlock];
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(FirstForward);
HWY_EXPORT(FirstInput);
HWY_EXPORT(FirstWeight);

namespace {

int64_t columns_of(const FirstShape& s) {
  return (s.taps() + kWinogradBlock - 1) / kWinogradBlock * kWinogradBlock;
}

}  // namespace

int64_t first_weights(const FirstShape& s, bool turned) {
  return s.out * (turned ? columns_of(s) : s.taps());
}

void first_pack(const FirstShape& s, const float* plain, bool turned, float* weights) {
  if (turned) std::fill_n(weights, first_weights(s, true), 0.0f);
  for (int64_t o = 0; o < s.out; ++o) {
    const int64_t panel = o / kPanel * kPanel, width = std::min(kPanel, s.out - panel);
    for (int64_t t = 0; t < s.taps(); ++t) {
      const int64_t at = turned ? o * columns_of(s) + t : panel * s.taps() + t * width + o - panel;
      weights[at] = plain[o * s.taps() + t];
    }
  }
}

int64_t first_scratch(const FirstShape& s) {
  return std::max(first_padded(s) + s.taps() * s.out, s.positions() * columns_of(s));
}

void first_forward(const FirstShape& shape, const float* input, const float* weights, float* output,
                   float* scratch) {
  HWY_DYNAMIC_DISPATCH(FirstForward)(shape, input, weights, output, scratch);
}

void first_input(const FirstShape& shape, const float* doutput, const float* turned, float* dinput,
                 float* scratch) {
  HWY_DYNAMIC_DISPATCH(FirstInput)(shape, doutput, turned, dinput, scratch);
}

void first_weight(const FirstShape& shape, const float* input, const float* doutput, float* dweight,
                  float* scratch) {
  HWY_DYNAMIC_DISPATCH(FirstWeight)(shape, input, doutput, dweight, scratch);
}

}  // namespace retort::nets
#endif
