// Layer norm's gain and shift, one for every value of a map, with ReLU: y = gain n + shift. Maps
// are blocked, and of one image; theta has them as plain [C, H, W].
#pragma once

#include <cstdint>

#include "nets/blocked/arena.h"
#include "nets/graph/plan.h"

namespace retort::nets {

/// Blocked maps of a kAffine step's parameters.
struct AffineMaps {
  float *gain = nullptr, *shift = nullptr;
};
AffineMaps affine_maps(const PlanStep& step, const float* theta, Arena& arena);
/// The same filled with zeros, for sums.
AffineMaps affine_sums(const PlanStep& step, Arena& arena);
/// Adds such sums to theta's cotangent.
void add_affine(const PlanStep& step, const AffineMaps& sums, float* dtheta);

/// out = gain in + shift, cut off below zero where `relu`. All have `count` values, a multiple
/// of 16.
void affine_forward(int64_t count, const AffineMaps& maps, const float* in, bool relu, float* out);
/// Its tangent where `out` is above zero (everywhere, where it is null): gain in. + gain. in +
/// shift..
void affine_tangent(int64_t count, const AffineMaps& maps, const AffineMaps& along, const float* in,
                    const float* in_tangent, const float* out, float* tangent);
/// Sets g to zero where `out` is not above zero.
void close_gate(int64_t count, const float* out, float* g);
/// to = (where `add`, +=) a b.
void multiply_values(int64_t count, const float* a, const float* b, bool add, float* to);
/// to += a.
void add_values(int64_t count, const float* a, float* to);

}  // namespace retort::nets
