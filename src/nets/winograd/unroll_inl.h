// Loops of a known, small length, written out, so that arrays of vectors stay in registers.
#if defined(RETORT_WINOGRAD_UNROLL_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_WINOGRAD_UNROLL_INL
#undef RETORT_WINOGRAD_UNROLL_INL
#else
#define RETORT_WINOGRAD_UNROLL_INL
#endif

#include <hwy/highway.h>

#include <type_traits>
#include <utility>

#include "core/sizes.h"

/// Of a lambda whose vectors are to stay in registers: a call would pass them through memory.
#ifndef RETORT_INLINE_LAMBDA
#define RETORT_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class Body, int... kIndex>
HWY_INLINE void unroll_each(const Body& body, std::integer_sequence<int, kIndex...>) {
  (body(std::integral_constant<int, kIndex>{}), ...);
}

/// Calls body(0), .., body(kCount - 1), each with a constant.
template <int kCount, class Body>
HWY_INLINE void unroll(const Body& body) {
  unroll_each(body, std::make_integer_sequence<int, kCount>{});
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
