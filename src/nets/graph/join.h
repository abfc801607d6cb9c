// What lies between convolutions: norms of any kind as an affine map with coefficients per channel,
// shortcuts added, ReLU, and 2x2 pools, on one block of 16 channels of one image, [positions, 16].
// No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

/// Mean and sum of squared deviations of each channel [16]. Values are taken less the first one: a
/// mean far from zero does not swallow the deviations.
void measure_map(int64_t positions, const float* z, float* mean, float* squares);

/// A term scale z + level, or z alone where `scale` is null.
struct JoinTerm {
  const float *map, *scale, *level;
};
/// out = the sum of one or two terms, cut off below zero where `relu`.
void join_forward(int64_t positions, const JoinTerm* terms, int count, bool relu, float* out);

/// Sums of g and of g (z - mean) by channel, for a map z with `mean`.
struct GateSums {
  const float *map, *mean;
  float *sum, *product;
};
/// The cotangent of the sum: g = first + second (where there is one) where out is above zero (or
/// everywhere, where `out` is null), with sums for up to two maps.
void join_gate(int64_t positions, const float* first, const float* second, const float* out,
               float* g, const GateSums* sums, int count);

/// A map's cotangent p g + q (z - mean) + r, written over z.
struct Slopes {
  const float *p, *q, *mean, *r;
};
void join_back(int64_t positions, const float* g, const Slopes& slopes, float* z);

/// 2x2 pools of [height, width, 16]; rows and columns left over are dropped. Back: dout to din.
struct PoolMap {
  int64_t height, width;
  bool largest;  ///< else the mean
};
void pool_forward(const PoolMap& map, const float* in, float* out);
/// The first largest value of a window takes its cotangent.
void pool_back(const PoolMap& map, const float* in, const float* dout, float* din);

/// The mean over all positions, and its way back.
void mean_forward(int64_t positions, const float* in, float* out);
void mean_back(int64_t positions, const float* dout, float* din);

}  // namespace retort::nets
