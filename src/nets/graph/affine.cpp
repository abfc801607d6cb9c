#include "nets/graph/affine.h"

#include <algorithm>
#include <limits>

#include "nets/blocked/layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/graph/affine.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/products_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

void AffineForward(int64_t count, const AffineMaps& maps, const float* in, bool relu, float* out) {
  const Floats d;
  const auto floor = hn::Set(d, relu ? 0.0f : -std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < count; i += kLanes)
    hn::Store(hn::Max(floor, hn::MulAdd(hn::Load(d, maps.gain + i), hn::Load(d, in + i),
                                        hn::Load(d, maps.shift + i))),
              d, out + i);
}

void AffineTangent(int64_t count, const AffineMaps& maps, const AffineMaps& along, const float* in,
                   const float* in_tangent, const float* out, float* tangent) {
  const Floats d;
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto own =
        hn::MulAdd(hn::Load(d, along.gain + i), hn::Load(d, in + i), hn::Load(d, along.shift + i));
    auto all = hn::MulAdd(hn::Load(d, maps.gain + i), hn::Load(d, in_tangent + i), own);
    if (out) all = hn::IfThenElseZero(hn::Gt(hn::Load(d, out + i), hn::Zero(d)), all);
    hn::Store(all, d, tangent + i);
  }
}

void CloseGate(int64_t count, const float* out, float* g) {
  const Floats d;
  for (int64_t i = 0; i < count; i += kLanes)
    hn::Store(hn::IfThenElseZero(hn::Gt(hn::Load(d, out + i), hn::Zero(d)), hn::Load(d, g + i)), d,
              g + i);
}

void MultiplyValues(int64_t count, const float* a, const float* b, bool add, float* to) {
  const Floats d;
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto old = add ? hn::Load(d, to + i) : hn::Zero(d);
    hn::Store(hn::MulAdd(hn::Load(d, a + i), hn::Load(d, b + i), old), d, to + i);
  }
}

void AddValues(int64_t count, const float* a, float* to) {
  const Floats d;
  for (int64_t i = 0; i < count; i += kLanes)
    hn::Store(hn::Add(hn::Load(d, a + i), hn::Load(d, to + i)), d, to + i);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(AffineForward);
HWY_EXPORT(AffineTangent);
HWY_EXPORT(CloseGate);
HWY_EXPORT(MultiplyValues);
HWY_EXPORT(AddValues);

AffineMaps affine_maps(const PlanStep& s, const float* theta, Arena& arena) {
  const AffineMaps maps{arena.take(s.size()), arena.take(s.size())};
  to_blocked(theta + s.weight, 1, s.out.channels, s.positions(), maps.gain);
  to_blocked(theta + s.shift, 1, s.out.channels, s.positions(), maps.shift);
  return maps;
}

AffineMaps affine_sums(const PlanStep& s, Arena& arena) {
  const AffineMaps sums{arena.take(s.size()), arena.take(s.size())};
  std::fill_n(sums.gain, s.size(), 0.0f);
  std::fill_n(sums.shift, s.size(), 0.0f);
  return sums;
}

void add_affine(const PlanStep& s, const AffineMaps& sums, float* dtheta) {
  std::vector<float> plain(static_cast<size_t>(s.size()));
  for (const auto& [map, offset] :
       {std::pair(sums.gain, s.weight), std::pair(sums.shift, s.shift)}) {
    from_blocked(map, 1, s.out.channels, s.positions(), plain.data());
    for (size_t i = 0; i < plain.size(); ++i) dtheta[offset + static_cast<int64_t>(i)] += plain[i];
  }
}

void affine_forward(int64_t count, const AffineMaps& maps, const float* in, bool relu, float* out) {
  HWY_DYNAMIC_DISPATCH(AffineForward)(count, maps, in, relu, out);
}

void affine_tangent(int64_t count, const AffineMaps& maps, const AffineMaps& along, const float* in,
                    const float* in_tangent, const float* out, float* tangent) {
  HWY_DYNAMIC_DISPATCH(AffineTangent)(count, maps, along, in, in_tangent, out, tangent);
}

void close_gate(int64_t count, const float* out, float* g) {
  HWY_DYNAMIC_DISPATCH(CloseGate)(count, out, g);
}

void multiply_values(int64_t count, const float* a, const float* b, bool add, float* to) {
  HWY_DYNAMIC_DISPATCH(MultiplyValues)(count, a, b, add, to);
}

void add_values(int64_t count, const float* a, float* to) {
  HWY_DYNAMIC_DISPATCH(AddValues)(count, a, to);
}

}  // namespace retort::nets
#endif
