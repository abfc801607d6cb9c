// The walk over a block of 16 channels of a map, for the kernels between convolutions.
#if defined(RETORT_GRAPH_PLACES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_GRAPH_PLACES_INL
#undef RETORT_GRAPH_PLACES_INL
#else
#define RETORT_GRAPH_PLACES_INL
#endif

#include <hwy/highway.h>

#include "nets/graph/join.h"
#include "nets/winograd/products_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

using Lane = hn::Vec<Floats>;
constexpr int kParts = 4;  // sums in work at a time

HWY_INLINE Lane total(const Lane* parts) {
  return hn::Add(hn::Add(parts[0], parts[1]), hn::Add(parts[2], parts[3]));
}

/// Calls visit(part, place) for positions p, p + 1, ... of a vector of channels.
template <class Visit>
HWY_INLINE void each_place(int64_t positions, const Visit& visit) {
  int64_t p = 0;
  for (; p + kParts <= positions; p += kParts)
    unroll<kParts>([&](auto k) HWY_ATTR { visit(static_cast<int>(k), (p + k) * kBlock); });
  for (; p < positions; ++p) visit(0, p * kBlock);
}

/// Calls visit(offset of a window's first value, offset of its output).
template <class Visit>
HWY_INLINE void each_window(const PoolMap& m, const Visit& visit) {
  int64_t out = 0;
  for (int64_t y = 0; y + 1 < m.height; y += 2)
    for (int64_t x = 0; x + 1 < m.width; x += 2, out += kBlock)
      visit((y * m.width + x) * kBlock, out);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
