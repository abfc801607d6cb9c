#include "nets/graph/tangent_join.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/graph/tangent_join.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/sizes.h"
#include "nets/graph/places_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

void MeasureDual(int64_t positions, const float* z, float* tangent, const float* second,
                 const DualMeasure& into) {
  const Floats d;
  const auto share = hn::Set(d, 1 / static_cast<float>(positions)), zero = hn::Zero(d);
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const auto first = hn::Load(d, z + c);
    Lane sum[kParts] = {zero, zero, zero, zero}, square[kParts] = {zero, zero, zero, zero};
    Lane sum_t[kParts] = {zero, zero, zero, zero}, product[kParts] = {zero, zero, zero, zero};
    each_place(positions, [&](int part, int64_t place) HWY_ATTR {
      auto t = hn::Load(d, tangent + place + c);
      if (second) {
        t = hn::Add(t, hn::Load(d, second + place + c));
        hn::Store(t, d, tangent + place + c);
      }
      const auto x = hn::Sub(hn::Load(d, z + place + c), first);
      sum[part] = hn::Add(sum[part], x);
      square[part] = hn::MulAdd(x, x, square[part]);
      sum_t[part] = hn::Add(sum_t[part], t);
      product[part] = hn::MulAdd(x, t, product[part]);
    });
    const auto all = total(sum), all_t = total(sum_t), away = hn::Mul(all, share);
    hn::Store(hn::Add(first, away), d, into.mean + c);
    hn::Store(hn::Max(zero, hn::NegMulAdd(away, all, total(square))), d, into.squares + c);
    hn::Store(hn::Mul(all_t, share), d, into.tangent_mean + c);
    hn::Store(hn::NegMulAdd(away, all_t, total(product)), d, into.product + c);
  }
}

/// One vector of channels of a term.
struct LoadedDual {
  HWY_INLINE LoadedDual(const DualTerm& t, int64_t c) : map(t.map + c), tangent(t.tangent + c) {
    const Floats d;
    scale = t.scale ? hn::LoadU(d, t.scale + c) : hn::Set(d, 1.0f);
    level = t.scale ? hn::LoadU(d, t.level + c) : hn::Zero(d);
    slope = t.scale ? hn::LoadU(d, t.slope + c) : hn::Zero(d);
    level_t = t.scale ? hn::LoadU(d, t.tangent_level + c) : hn::Zero(d);
  }
  HWY_INLINE Lane z(int64_t place) const { return hn::Load(Floats(), map + place); }
  HWY_INLINE Lane y(int64_t place) const { return hn::MulAdd(z(place), scale, level); }
  HWY_INLINE Lane yt(int64_t place) const {
    const auto own = hn::MulAdd(hn::Load(Floats(), tangent + place), scale, level_t);
    return hn::MulAdd(z(place), slope, own);
  }
  const float *map, *tangent;
  Lane scale, level, slope, level_t;
};

void JoinDual(int64_t positions, const DualTerm* terms, int count, bool relu, float* out,
              float* tangent) {
  const Floats d;
  const auto floor = hn::Set(d, relu ? 0.0f : -std::numeric_limits<float>::infinity());
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const LoadedDual one(terms[0], c), two(terms[count - 1], c);
    each_place(positions, [&](int, int64_t place) HWY_ATTR {
      auto y = one.y(place), yt = one.yt(place);
      if (count > 1) {
        y = hn::Add(y, two.y(place));
        yt = hn::Add(yt, two.yt(place));
      }
      hn::Store(hn::Max(floor, y), d, out + place + c);
      hn::Store(hn::IfThenElseZero(hn::Gt(y, floor), yt), d, tangent + place + c);
    });
  }
}

/// The sum of parts at a place.
HWY_INLINE Lane sum_of(const float* const* parts, int count, int64_t at) {
  const Floats d;
  auto sum = hn::Load(d, parts[0] + at);
  for (int k = 1; k < count; ++k) sum = hn::Add(sum, hn::Load(d, parts[k] + at));
  return sum;
}

/// Sums of a vector of channels of one map, in work.
struct LoadedSums {
  HWY_INLINE LoadedSums(const DualSums& s, int64_t c)
      : map(s.map + c),
        tangent(s.tangent + c),
        mean(hn::LoadU(Floats(), s.mean + c)),
        mean_t(hn::LoadU(Floats(), s.tangent_mean + c)) {
    g = g_x = gt = gt_x = g_xt = hn::Zero(Floats());
  }
  HWY_INLINE void add(int64_t place, Lane value, Lane derivative) {
    const Floats d;
    const auto x = hn::Sub(hn::Load(d, map + place), mean);
    const auto xt = hn::Sub(hn::Load(d, tangent + place), mean_t);
    g = hn::Add(g, value);
    gt = hn::Add(gt, derivative);
    g_x = hn::MulAdd(value, x, g_x);
    gt_x = hn::MulAdd(derivative, x, gt_x);
    g_xt = hn::MulAdd(value, xt, g_xt);
  }
  HWY_INLINE void store(const DualSums& s, int64_t c) const {
    const Floats d;
    hn::Store(g, d, s.g + c);
    hn::Store(g_x, d, s.g_x + c);
    hn::Store(gt, d, s.gt + c);
    hn::Store(gt_x, d, s.gt_x + c);
    hn::Store(g_xt, d, s.g_xt + c);
  }
  const float *map, *tangent;
  Lane mean, mean_t, g, g_x, gt, gt_x, g_xt;
};

/// Calls add(place, g, g.) for the gated cotangents of a vector of channels.
template <class Add>
HWY_INLINE void gated(int64_t positions, int64_t c, const DualParts& parts, const float* out,
                      float* g, float* gt, const Add& add) {
  const Floats d;
  for (int64_t p = 0; p < positions; ++p) {
    const int64_t at = p * kBlock + c;
    auto value = sum_of(parts.values, parts.value_count, at);
    auto derivative = sum_of(parts.tangents, parts.tangent_count, at);
    if (out) {
      const auto open = hn::Gt(hn::Load(d, out + at), hn::Zero(d));
      value = hn::IfThenElseZero(open, value);
      derivative = hn::IfThenElseZero(open, derivative);
    }
    hn::Store(value, d, g + at);
    hn::Store(derivative, d, gt + at);
    add(p * kBlock, value, derivative);
  }
}

void GateDual(int64_t positions, const DualParts& parts, const float* out, float* g, float* gt,
              const DualSums* sums, int count) {
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    LoadedSums one(sums[0], c), two(sums[count - 1], c);
    if (count == 1)
      gated(positions, c, parts, out, g, gt,
            [&](int64_t place, Lane value, Lane derivative)
                RETORT_INLINE_LAMBDA { one.add(place, value, derivative); });
    else
      gated(positions, c, parts, out, g, gt,
            [&](int64_t place, Lane value, Lane derivative) RETORT_INLINE_LAMBDA {
              one.add(place, value, derivative);
              two.add(place, value, derivative);
            });
    one.store(sums[0], c);
    if (count > 1) two.store(sums[1], c);
  }
}

void BackDual(int64_t positions, const float* g, const float* gt, const DualSlopes& s, float* z,
              float* tangent) {
  const Floats d;
  for (int64_t c = 0; c < kBlock; c += kLanes) {
    const auto p = hn::LoadU(d, s.p + c), q = hn::LoadU(d, s.q + c), r = hn::LoadU(d, s.r + c);
    const auto pt = hn::LoadU(d, s.pt + c), qt = hn::LoadU(d, s.qt + c);
    const auto rt = hn::LoadU(d, s.rt + c), mean = hn::LoadU(d, s.mean + c);
    const auto mean_t = hn::LoadU(d, s.tangent_mean + c);
    each_place(positions, [&](int, int64_t place) HWY_ATTR {
      const int64_t at = place + c;
      const auto x = hn::Sub(hn::Load(d, z + at), mean);
      const auto xt = hn::Sub(hn::Load(d, tangent + at), mean_t);
      const auto own = hn::Load(d, g + at);
      const auto derivative =
          hn::MulAdd(p, hn::Load(d, gt + at), hn::MulAdd(q, xt, hn::MulAdd(qt, x, rt)));
      hn::Store(hn::MulAdd(p, own, hn::MulAdd(q, x, r)), d, tangent + at);
      hn::Store(hn::MulAdd(pt, own, derivative), d, z + at);
    });
  }
}

void PoolTangent(const PoolMap& m, const float* in, const float* tangent, float* out) {
  const Floats d;
  const int64_t corner[4] = {0, kBlock, m.width * kBlock, (m.width + 1) * kBlock};
  each_window(m, [&](int64_t from, int64_t to) HWY_ATTR {
    for (int64_t c = 0; c < kBlock; c += kLanes) {
      auto most = hn::Load(d, in + from + c), along = hn::Load(d, tangent + from + c);
      for (const int64_t k : corner) {
        const auto value = hn::Load(d, in + from + k + c);
        const auto larger = hn::Gt(value, most);
        along = hn::IfThenElse(larger, hn::Load(d, tangent + from + k + c), along);
        most = hn::IfThenElse(larger, value, most);
      }
      hn::Store(along, d, out + to + c);
    }
  });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(MeasureDual);
HWY_EXPORT(JoinDual);
HWY_EXPORT(GateDual);
HWY_EXPORT(BackDual);
HWY_EXPORT(PoolTangent);

void measure_dual(int64_t positions, const float* z, float* tangent, const float* second,
                  const DualMeasure& into) {
  HWY_DYNAMIC_DISPATCH(MeasureDual)(positions, z, tangent, second, into);
}

void join_dual(int64_t positions, const DualTerm* terms, int count, bool relu, float* out,
               float* tangent) {
  HWY_DYNAMIC_DISPATCH(JoinDual)(positions, terms, count, relu, out, tangent);
}

void gate_dual(int64_t positions, const DualParts& parts, const float* out, float* g, float* gt,
               const DualSums* sums, int count) {
  HWY_DYNAMIC_DISPATCH(GateDual)(positions, parts, out, g, gt, sums, count);
}

void back_dual(int64_t positions, const float* g, const float* gt, const DualSlopes& slopes,
               float* z, float* tangent) {
  HWY_DYNAMIC_DISPATCH(BackDual)(positions, g, gt, slopes, z, tangent);
}

void pool_tangent(const PoolMap& map, const float* in, const float* tangent, float* out) {
  HWY_DYNAMIC_DISPATCH(PoolTangent)(map, in, tangent, out);
}

}  // namespace retort::nets
#endif
