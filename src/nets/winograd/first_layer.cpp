#include "nets/winograd/first_layer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/first_layer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/first_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Elements of a tile's outputs: sums over kIn channels.
template <int kIn>
struct FirstElements {
  HWY_INLINE auto load(int64_t i, int64_t j) const {
    const Floats d;
    const float *left = tile + (i * kSide + j) * kFirstChannels,
                *right = weights + (i * kSide + j) * kIn * kBlock;
    auto sum = hn::Mul(hn::Set(d, left[0]), hn::Load(d, right));
    unroll<kIn - 1>([&](auto c) HWY_ATTR {
      sum = hn::MulAdd(hn::Set(d, left[c + 1]), hn::Load(d, right + (c + 1) * kBlock), sum);
    });
    return sum;
  }
  static constexpr bool has(int64_t) { return true; }
  const float *tile, *weights;
};

/// A vector of outputs of an image.
template <int kIn>
void first_map(const FirstShape& s, const float* tiles, const float* weights, float* map) {
  const Floats d;
  const int64_t row = s.map_width() * kBlock;
  each_first(s, [&](int64_t t, int64_t top, int64_t left) HWY_ATTR {
    const int64_t rows = s.map_height() - top, columns = s.map_width() - left;
    float* to = map + top * row + left * kBlock;
    const auto make = [&](const auto& store) HWY_ATTR {
      both_ways<kSide, kTile>(
          d, [](auto own, const auto* x, auto* y) HWY_ATTR { First::output(own, x, y); },
          FirstElements<kIn>{tiles + t * kElements * kFirstChannels, weights}, store);
    };
    const auto put = [&](int64_t y, int64_t x, auto v)
                         HWY_ATTR { hn::Store(v, d, to + y * row + x * kBlock); };
    if (rows >= kTile && columns >= kTile)
      make(put);
    else
      make([&](int64_t y, int64_t x, auto v) HWY_ATTR {
        if (y < rows && x < columns) put(y, x, v);
      });
  });
}

using FirstMap = void (*)(const FirstShape&, const float*, const float*, float*);
template <int... kIndex>
constexpr std::array<FirstMap, sizeof...(kIndex)> first_maps(
    std::integer_sequence<int, kIndex...>) {
  return {&first_map<kIndex + 1>...};
}

void FirstForward(const FirstShape& s, const float* input, const float* weights, float* output,
                  float* scratch) {
  static constexpr auto kMaps = first_maps(std::make_integer_sequence<int, kFirstChannels>{});
  float* tiles = scratch + first_padded(s);
  for (int64_t n = 0; n < s.images; ++n) {
    first_tiles(s, input + n * s.input_size(), scratch, tiles);
    for (int64_t o = 0; o < s.out; o += kLanes) {
      const int64_t block = o / kBlock * kBlock, lane = o % kBlock;
      kMaps[to_size(s.in - 1)](s, tiles, weights + block * kElements * s.in + lane,
                               output + (n * s.out + block) * s.positions() + lane);
    }
  }
}

/// [out / 16, elements, in, 16].
void FirstPack(const FirstShape& s, const float* plain, float* weights) {
  const Floats d;
  HWY_ALIGN float taps[9 * kBlock];
  for (int64_t o = 0; o < s.out; o += kBlock)
    for (int64_t i = 0; i < s.in; ++i) {
      for (int64_t k = 0; k < kBlock; ++k)
        for (int64_t t = 0; t < 9; ++t) taps[t * kBlock + k] = plain[((o + k) * s.in + i) * 9 + t];
      for (int64_t c = 0; c < kBlock; c += kLanes)
        both_ways<3, kSide>(
            d, [](auto own, const auto* x, auto* y) HWY_ATTR { First::weight(own, x, y); },
            Taps{taps + c},
            [&](auto y, auto x, auto v) HWY_ATTR {
              hn::Store(
                  v, d,
                  weights + ((o * kElements) + (y * kSide + x) * kBlock) * s.in + i * kBlock + c);
            });
    }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(FirstPack);
HWY_EXPORT(FirstForward);

int64_t first_weights(const FirstShape& s, bool turned) {
  return s.out * (turned ? first_columns(s) : kFirstElements * s.in);
}

void first_pack(const FirstShape& s, const float* plain, bool turned, float* weights) {
  if (!turned) return HWY_DYNAMIC_DISPATCH(FirstPack)(s, plain, weights);
  std::fill_n(weights, first_weights(s, true), 0.0f);
  for (int64_t o = 0; o < s.out; ++o)
    std::copy_n(plain + o * s.taps(), s.taps(), weights + o * first_columns(s));
}

int64_t first_scratch(const FirstShape& s) {
  return std::max(first_padded(s) + first_elements(s) + kFirstElements * s.in * s.out,
                  s.positions() * first_columns(s));
}

void first_forward(const FirstShape& shape, const float* input, const float* weights, float* output,
                   float* scratch) {
  HWY_DYNAMIC_DISPATCH(FirstForward)(shape, input, weights, output, scratch);
}

}  // namespace retort::nets
#endif
