// The kernels of join.h with derivatives along a direction of the parameters, which carry a dot in
// the comments: z. is the tangent of the map z. No torch here.
#pragma once

#include <cstdint>

#include "nets/graph/join.h"

namespace retort::nets {

/// Of each channel [16]: means of a map and its tangent, sums of squared deviations and of products
/// of deviations.
struct DualMeasure {
  float *mean, *squares, *tangent_mean, *product;
};
/// `second` is added to the tangent where it is not null.
void measure_dual(int64_t positions, const float* z, float* tangent, const float* second,
                  const DualMeasure& into);

/// A term scale z + level with its tangent slope z + scale z. + tangent_level; the values alone
/// where `scale` is null.
struct DualTerm {
  const float *map, *tangent, *scale, *level, *slope, *tangent_level;
};
/// The sum of one or two terms, cut off below zero where `relu`, and its tangent.
void join_dual(int64_t positions, const DualTerm* terms, int count, bool relu, float* out,
               float* tangent);

/// The parts that a cotangent and its derivative are the sums of.
struct DualParts {
  const float *values[2], *tangents[4];
  int value_count, tangent_count;
};
/// For a map z with `mean` and its tangent, by channel: sums of g, g x, g., g. x and g x. for
/// x = z - mean, x. = z. - tangent_mean.
struct DualSums {
  const float *map, *tangent, *mean, *tangent_mean;
  float *g, *g_x, *gt, *gt_x, *g_xt;
};
/// The cotangent g of the sum and its derivative: their parts where out is above zero (or
/// everywhere, where `out` is null), with sums for up to two maps. g and gt may be parts.
void gate_dual(int64_t positions, const DualParts& parts, const float* out, float* g, float* gt,
               const DualSums* sums, int count);

/// A map's cotangent p g + q x + r and its derivative p g. + p. g + q x. + q. x + r..
struct DualSlopes {
  const float *p, *q, *r, *pt, *qt, *rt, *mean, *tangent_mean;
};
/// The cotangent is written over z., its derivative over z.
void back_dual(int64_t positions, const float* g, const float* gt, const DualSlopes& slopes,
               float* z, float* tangent);

/// The tangent of the largest values of 2x2 windows: of the first where several are.
void pool_tangent(const PoolMap& map, const float* in, const float* tangent, float* out);

}  // namespace retort::nets
