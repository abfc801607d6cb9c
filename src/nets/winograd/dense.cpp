#include "nets/winograd/dense.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/winograd/dense.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/unroll_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

using Wide = hn::CappedTag<float, 16>;
constexpr int64_t kWide = static_cast<int64_t>(hn::MaxLanes(Wide()));
constexpr int kTogether = 4;  // rows of c, vectors of it

/// kOwn rows of b against one of a; lanes are added up at the end.
template <int kOwn>
HWY_INLINE void dots(int64_t k, const float* a, const float* b, float* c) {
  const Wide d;
  hn::Vec<Wide> sum[to_size(kOwn)];
  unroll<kOwn>([&](auto r) HWY_ATTR { sum[r] = hn::Zero(d); });
  int64_t i = 0;
  for (; i + kWide <= k; i += kWide) {
    const auto left = hn::LoadU(d, a + i);
    unroll<kOwn>([&](auto r)
                     HWY_ATTR { sum[r] = hn::MulAdd(left, hn::LoadU(d, b + r * k + i), sum[r]); });
  }
  unroll<kOwn>([&](auto r) HWY_ATTR {
    float total = hn::GetLane(hn::SumOfLanes(d, sum[r]));
    for (int64_t rest = i; rest < k; ++rest) total += a[rest] * b[r * k + rest];
    c[r] += total;
  });
}

void AddRowsByRows(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  for (int64_t r = 0; r < m; ++r) {
    int64_t j = 0;
    for (; j + kTogether <= n; j += kTogether)
      dots<kTogether>(k, a + r * k, b + j * k, c + r * n + j);
    for (; j < n; ++j) dots<1>(k, a + r * k, b + j * k, c + r * n + j);
  }
}

void AddProduct(int64_t m, int64_t n, int64_t k, const float* a, int64_t row, int64_t column,
                const float* b, float* c) {
  const Wide d;
  const int64_t step = kTogether * kWide;
  for (int64_t r = 0; r < m; ++r) {
    int64_t j = 0;
    for (; j + step <= n; j += step) {
      hn::Vec<Wide> sum[to_size(kTogether)];
      float* own = c + r * n + j;
      unroll<kTogether>([&](auto v) HWY_ATTR { sum[v] = hn::LoadU(d, own + v * kWide); });
      for (int64_t i = 0; i < k; ++i) {
        const auto left = hn::Set(d, a[r * row + i * column]);
        unroll<kTogether>([&](auto v) HWY_ATTR {
          sum[v] = hn::MulAdd(left, hn::LoadU(d, b + i * n + j + v * kWide), sum[v]);
        });
      }
      unroll<kTogether>([&](auto v) HWY_ATTR { hn::StoreU(sum[v], d, own + v * kWide); });
    }
    for (; j < n; ++j)
      for (int64_t i = 0; i < k; ++i) c[r * n + j] += a[r * row + i * column] * b[i * n + j];
  }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(AddRowsByRows);
HWY_EXPORT(AddProduct);

void add_rows_by_rows(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  HWY_DYNAMIC_DISPATCH(AddRowsByRows)(m, n, k, a, b, c);
}

void add_matrix_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row,
                        int64_t column, const float* b, float* c) {
  HWY_DYNAMIC_DISPATCH(AddProduct)(m, n, k, a, row, column, b, c);
}

}  // namespace retort::nets
#endif
