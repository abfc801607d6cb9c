#include "nets/graph/join.h"

#include <algorithm>
#include <limits>

#include "nets/winograd/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/graph/join.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/sizes.h"
#include "nets/graph/places_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

void MeasureMap(int64_t positions, const float* z, float* mean, float* squares) {
  const Floats d;
  const auto share = hn::Set(d, 1 / static_cast<float>(positions));
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const auto first = hn::Load(d, z + c);
    const auto zero = hn::Zero(d);
    Lane sum[kParts] = {zero, zero, zero, zero}, square[kParts] = {zero, zero, zero, zero};
    each_place(positions, [&](int part, int64_t place) HWY_ATTR {
      const auto x = hn::Sub(hn::Load(d, z + place + c), first);
      sum[part] = hn::Add(sum[part], x);
      square[part] = hn::MulAdd(x, x, square[part]);
    });
    const auto all = total(sum), away = hn::Mul(all, share);
    hn::Store(hn::Add(first, away), d, mean + c);
    hn::Store(hn::Max(zero, hn::NegMulAdd(away, all, total(square))), d, squares + c);
  }
}

/// One vector of channels of a term.
struct LoadedTerm {
  HWY_INLINE LoadedTerm(const JoinTerm& t, int64_t c) : map(t.map + c), affine(t.scale) {
    const Floats d;
    scale = affine ? hn::LoadU(d, t.scale + c) : hn::Set(d, 1.0f);
    level = affine ? hn::LoadU(d, t.level + c) : hn::Zero(d);
  }
  HWY_INLINE Lane at(int64_t place) const {
    return hn::MulAdd(hn::Load(Floats(), map + place), scale, level);
  }
  const float* map;
  bool affine;
  Lane scale, level;
};

void JoinForward(int64_t positions, const JoinTerm* terms, int count, bool relu, float* out) {
  const Floats d;
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const auto floor = hn::Set(d, relu ? 0.0f : -std::numeric_limits<float>::infinity());
    const LoadedTerm one(terms[0], c), two(terms[count - 1], c);
    if (count == 1)
      each_place(positions, [&](int, int64_t place) HWY_ATTR {
        hn::Store(hn::Max(floor, one.at(place)), d, out + place + c);
      });
    else
      each_place(positions, [&](int, int64_t place) HWY_ATTR {
        hn::Store(hn::Max(floor, hn::Add(one.at(place), two.at(place))), d, out + place + c);
      });
  }
}

template <int kSums, class Gate>
HWY_INLINE void gate(int64_t positions, int64_t c, float* g, const GateSums* sums,
                     const Gate& gated) {
  const Floats d;
  const auto zero = hn::Zero(d);
  constexpr int kProducts = kSums > 0 ? kSums : 1;
  Lane sum[kParts] = {zero, zero, zero, zero};
  Lane product[to_size(kProducts)][to_size(kParts)];
  Lane mean[to_size(kProducts)];
  for (int k = 0; k < kSums; ++k) {
    mean[k] = hn::LoadU(d, sums[k].mean + c);
    for (Lane& part : product[k]) part = zero;
  }
  each_place(positions, [&](int part, int64_t place) HWY_ATTR {
    const auto value = gated(place + c);
    hn::Store(value, d, g + place + c);
    if constexpr (kSums > 0) sum[part] = hn::Add(sum[part], value);
    for (int k = 0; k < kSums; ++k)
      product[k][part] = hn::MulAdd(value, hn::Sub(hn::Load(d, sums[k].map + place + c), mean[k]),
                                    product[k][part]);
  });
  for (int k = 0; k < kSums; ++k) {
    hn::Store(total(sum), d, sums[k].sum + c);
    hn::Store(total(product[k]), d, sums[k].product + c);
  }
}

template <int kSums>
HWY_INLINE void gates(int64_t positions, const float* first, const float* second, const float* out,
                      float* g, const GateSums* sums) {
  const Floats d;
  const auto open = [&](int64_t at, Lane value) HWY_ATTR {
    return hn::IfThenElseZero(hn::Gt(hn::Load(d, out + at), hn::Zero(d)), value);
  };
  const auto one = [&](int64_t at) HWY_ATTR { return hn::Load(d, first + at); };
  const auto both = [&](int64_t at) HWY_ATTR { return hn::Add(one(at), hn::Load(d, second + at)); };
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    if (out && second)
      gate<kSums>(positions, c, g, sums, [&](int64_t at) HWY_ATTR { return open(at, both(at)); });
    else if (out)
      gate<kSums>(positions, c, g, sums, [&](int64_t at) HWY_ATTR { return open(at, one(at)); });
    else if (second)
      gate<kSums>(positions, c, g, sums, both);
    else
      gate<kSums>(positions, c, g, sums, one);
  }
}

void JoinGate(int64_t positions, const float* first, const float* second, const float* out,
              float* g, const GateSums* sums, int count) {
  if (count == 0) return gates<0>(positions, first, second, out, g, sums);
  if (count == 1) return gates<1>(positions, first, second, out, g, sums);
  gates<2>(positions, first, second, out, g, sums);
}

void JoinBack(int64_t positions, const float* g, const Slopes& s, float* z) {
  const Floats d;
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const auto p = hn::LoadU(d, s.p + c), q = hn::LoadU(d, s.q + c);
    const auto mean = hn::LoadU(d, s.mean + c), r = hn::LoadU(d, s.r + c);
    each_place(positions, [&](int, int64_t place) HWY_ATTR {
      const auto away = hn::Sub(hn::Load(d, z + place + c), mean);
      const auto level = hn::MulAdd(q, away, r);
      hn::Store(hn::MulAdd(p, hn::Load(d, g + place + c), level), d, z + place + c);
    });
  }
}

void PoolForward(const PoolMap& m, const float* in, float* out) {
  const Floats d;
  const int64_t down = m.width * kBlock;
  const auto quarter = hn::Set(d, 0.25f);
  each_window(m, [&](int64_t from, int64_t to) HWY_ATTR {
    for (int64_t c = 0; c < kBlock; c += kLanes) {
      const float* a = in + from + c;
      const auto v = hn::Load(d, a), w = hn::Load(d, a + kBlock);
      const auto x = hn::Load(d, a + down), y = hn::Load(d, a + down + kBlock);
      hn::Store(m.largest ? hn::Max(hn::Max(v, w), hn::Max(x, y))
                          : hn::Mul(quarter, hn::Add(hn::Add(v, w), hn::Add(x, y))),
                d, out + to + c);
    }
  });
}

void PoolBack(const PoolMap& m, const float* in, const float* dout, float* din) {
  const Floats d;
  const auto quarter = hn::Set(d, 0.25f);
  const int64_t corner[4] = {0, kBlock, m.width * kBlock, (m.width + 1) * kBlock};
  if (m.height % 2 != 0 || m.width % 2 != 0) std::fill_n(din, m.height * m.width * kBlock, 0.0f);
  each_window(m, [&](int64_t at, int64_t from) HWY_ATTR {
    for (int64_t c = 0; c < kBlock; c += kLanes) {
      auto left = hn::Load(d, dout + from + c);
      if (!m.largest) {
        for (const int64_t k : corner) hn::Store(hn::Mul(quarter, left), d, din + at + k + c);
        continue;
      }
      auto most = hn::Load(d, in + at + c);
      for (const int64_t k : corner) most = hn::Max(most, hn::Load(d, in + at + k + c));
      for (const int64_t k : corner) {
        const auto is = hn::Eq(hn::Load(d, in + at + k + c), most);
        hn::Store(hn::IfThenElseZero(is, left), d, din + at + k + c);
        left = hn::IfThenZeroElse(is, left);
      }
    }
  });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(MeasureMap);
HWY_EXPORT(JoinForward);
HWY_EXPORT(JoinGate);
HWY_EXPORT(JoinBack);
HWY_EXPORT(PoolForward);
HWY_EXPORT(PoolBack);

void measure_map(int64_t positions, const float* z, float* mean, float* squares) {
  HWY_DYNAMIC_DISPATCH(MeasureMap)(positions, z, mean, squares);
}

void join_forward(int64_t positions, const JoinTerm* terms, int count, bool relu, float* out) {
  HWY_DYNAMIC_DISPATCH(JoinForward)(positions, terms, count, relu, out);
}

void join_gate(int64_t positions, const float* first, const float* second, const float* out,
               float* g, const GateSums* sums, int count) {
  HWY_DYNAMIC_DISPATCH(JoinGate)(positions, first, second, out, g, sums, count);
}

void join_back(int64_t positions, const float* g, const Slopes& slopes, float* z) {
  HWY_DYNAMIC_DISPATCH(JoinBack)(positions, g, slopes, z);
}

void pool_forward(const PoolMap& map, const float* in, float* out) {
  HWY_DYNAMIC_DISPATCH(PoolForward)(map, in, out);
}

void pool_back(const PoolMap& map, const float* in, const float* dout, float* din) {
  HWY_DYNAMIC_DISPATCH(PoolBack)(map, in, dout, din);
}

void mean_forward(int64_t positions, const float* in, float* out) {
  alignas(64) float squares[kWinogradBlock];
  measure_map(positions, in, out, squares);
}

void mean_back(int64_t positions, const float* dout, float* din) {
  const float share = 1 / static_cast<float>(positions);
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t k = 0; k < kWinogradBlock; ++k) din[p * kWinogradBlock + k] = dout[k] * share;
}

}  // namespace retort::nets
#endif
