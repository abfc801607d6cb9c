// Small matrix products in registers. The left factor is read a value at a time, the right one a
// vector at a time; sums go over k in order whatever the rows, so that a row's bits do not depend
// on its neighbours.
#if defined(RETORT_WINOGRAD_PRODUCTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_WINOGRAD_PRODUCTS_INL
#undef RETORT_WINOGRAD_PRODUCTS_INL
#else
#define RETORT_WINOGRAD_PRODUCTS_INL
#endif

#include <hwy/highway.h>

#include <array>

#include "nets/winograd/unroll_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

using Floats = hn::CappedTag<float, 16>;
constexpr int64_t kBlock = 16;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Floats()));
/// Rows and vectors of a product in registers: with 32 of them, and with 16.
#if HWY_TARGET <= HWY_AVX3
constexpr int kRows = 14, kVectors = 2;
#else
constexpr int kRows = 6, kVectors = 2;
#endif

/// c [rows, width] = sum over blocks k of a_k [rows, 16] b_k [16, width]: a_k at a + k a_step with
/// rows 16 apart, b rows b_step apart, c rows c_step apart. Where more_a is not null, the same sum
/// of more_a and more_b is added.
struct ProductPlaces {
  const float* a;
  int64_t blocks, a_step;
  const float* b;
  int64_t b_step;
  float* c;
  int64_t c_step;
  const float *more_a = nullptr, *more_b = nullptr;
};

template <int kOwnRows, int kOwnVectors>
void product(const ProductPlaces& p) {
  const Floats d;
  using V = hn::Vec<Floats>;
  V sum[to_size(kOwnRows)][to_size(kOwnVectors)];
  unroll<kOwnRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v) HWY_ATTR { sum[r][v] = hn::Zero(d); });
  });
  const float *from = p.a, *b = p.b;
  const int64_t b_step = p.b_step;
  for (const float* next = p.more_a; from; from = next, b = p.more_b, next = nullptr) {
    for (int64_t block = 0; block < p.blocks; ++block) {
      const float* a = from + block * p.a_step;
      for (int64_t k = 0; k < kBlock; ++k, ++a, b += b_step) {
        V right[to_size(kOwnVectors)];
        unroll<kOwnVectors>([&](auto v) HWY_ATTR { right[v] = hn::Load(d, b + v * kLanes); });
        unroll<kOwnRows>([&](auto r) HWY_ATTR {
          const V left = hn::Set(d, a[r * kBlock]);
          unroll<kOwnVectors>([&](auto v)
                                  HWY_ATTR { sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]); });
        });
      }
    }
  }
  unroll<kOwnRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v)
                            HWY_ATTR { hn::Store(sum[r][v], d, p.c + r * p.c_step + v * kLanes); });
  });
}

using Product = void (*)(const ProductPlaces&);

template <int kOwnVectors, int... kIndex>
constexpr std::array<Product, sizeof...(kIndex)> products(std::integer_sequence<int, kIndex...>) {
  return {&product<kIndex + 1, kOwnVectors>...};
}

/// The product of any number of rows, `width` (a multiple of 16) columns.
HWY_INLINE void multiply(int64_t rows, int64_t width, const ProductPlaces& p) {
  static constexpr auto kWide = products<kVectors>(std::make_integer_sequence<int, kRows>{});
  static constexpr auto kNarrow = products<1>(std::make_integer_sequence<int, kRows>{});
  const int64_t strips = (rows + kRows - 1) / kRows;
  for (int64_t column = 0; column < width;) {
    const bool wide = width - column >= kVectors * kLanes;
    const auto& table = wide ? kWide : kNarrow;
    int64_t begin = 0;
    for (int64_t strip = 0; strip < strips; ++strip) {  // of equal size, or one less
      const int64_t end = rows * (strip + 1) / strips;
      ProductPlaces own = p;
      own.a += begin * kBlock;
      own.b += column;
      if (p.more_a) own.more_a += begin * kBlock, own.more_b += column;
      own.c += begin * p.c_step + column;
      table[static_cast<size_t>(end - begin - 1)](own);
      begin = end;
    }
    column += wide ? kVectors * kLanes : kLanes;
  }
}

/// Rows of a product whose sum goes over positions.
constexpr int kOuterRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;

/// c [kOuterRows, width] = (where kAdd, +=) sum over positions t of a_t b_t^T: a_t at a + 16 t, b_t
/// at b + b_step t.
template <bool kAdd, int kOwnVectors>
HWY_INLINE void outer_product(int64_t positions, const float* a, const float* b, int64_t b_step,
                              float* c, int64_t c_step) {
  const Floats d;
  using V = hn::Vec<Floats>;
  V sum[to_size(kOuterRows)][to_size(kOwnVectors)];
  unroll<kOuterRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v) HWY_ATTR {
      sum[r][v] = kAdd ? hn::Load(d, c + r * c_step + v * kLanes) : hn::Zero(d);
    });
  });
  for (int64_t t = 0; t < positions; ++t, a += kBlock, b += b_step) {
    V right[to_size(kOwnVectors)];
    unroll<kOwnVectors>([&](auto v) HWY_ATTR { right[v] = hn::Load(d, b + v * kLanes); });
    unroll<kOuterRows>([&](auto r) HWY_ATTR {
      const V left = hn::Set(d, a[r]);
      unroll<kOwnVectors>([&](auto v)
                              HWY_ATTR { sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]); });
    });
  }
  unroll<kOuterRows>([&](auto r) HWY_ATTR {
    unroll<kOwnVectors>([&](auto v)
                            HWY_ATTR { hn::Store(sum[r][v], d, c + r * c_step + v * kLanes); });
  });
}

/// sum [in, width] = (where kAdd, +=) a^T b for a [in / 16, count, 16], b [count, width].
HWY_INLINE void outer_products(bool add, int64_t in, int64_t width, int64_t count, const float* a,
                               const float* b, float* sum) {
  constexpr int64_t kStrip = 128;  // of b stays in the first cache
  const auto strip = [&](auto vectors, int64_t column, int64_t begin, int64_t positions) HWY_ATTR {
    for (int64_t i = 0; i < in; i += kOuterRows) {
      const float* left = a + i / kBlock * kBlock * count + begin * kBlock + i % kBlock;
      const float* right = b + begin * width + column;
      float* own = sum + i * width + column;
      if (add || begin > 0)
        outer_product<true, vectors>(positions, left, right, width, own, width);
      else
        outer_product<false, vectors>(positions, left, right, width, own, width);
    }
  };
  for (int64_t begin = 0; begin < count; begin += kStrip) {
    const int64_t positions = std::min(kStrip, count - begin);
    int64_t column = 0;
    for (; column + kVectors * kLanes <= width; column += kVectors * kLanes)
      strip(std::integral_constant<int, kVectors>{}, column, begin, positions);
    for (; column < width; column += kLanes)
      strip(std::integral_constant<int, 1>{}, column, begin, positions);
  }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
