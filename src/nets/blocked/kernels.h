// Instance norm (affine), ReLU and 2x2 average pooling over one block of channels of one image,
// with their cotangents and their derivatives along a direction (spec of the sweep of tangents).
// Maps are [H, W, block] floats of neighbouring channels. No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

/// A map of one block of channels; sides are even, `block` is 8 or 16. Pointers are aligned to 32
/// or 64 bytes.
struct BlockMap {
  int64_t height, width, block;
};

/// A map and its tangent.
struct BlockDual {
  const float *value, *tangent;
  BlockDual at(int64_t c) const { return {value + c, tangent + c}; }
};

/// Where the cotangent of a map goes, and its derivative.
struct BlockDualPlace {
  float *value, *tangent;
  BlockDualPlace at(int64_t c) const { return {value + c, tangent + c}; }
};

/// Per channel of a block: the affine parameters and their part of the direction.
struct BlockAffine {
  const float *gain, *shift;
  const float *gain_tangent = nullptr, *shift_tangent = nullptr;
  BlockAffine at(int64_t c) const {
    if (!gain_tangent) return {gain + c, shift + c};
    return {gain + c, shift + c, gain_tangent + c, shift_tangent + c};
  }
};

/// Per channel of a block: what the way back needs. `mean_tangent` and `covariance` (the mean of n
/// times the centred tangent) belong to the derivative.
struct BlockMoments {
  float *mean, *rstd;
  float *mean_tangent = nullptr, *covariance = nullptr;
  BlockMoments at(int64_t c) const {
    if (!mean_tangent) return {mean + c, rstd + c};
    return {mean + c, rstd + c, mean_tangent + c, covariance + c};
  }
};

/// Per channel of a block: what cotangents of the affine parameters are added to.
struct BlockAffineSums {
  float *gain, *shift;
  BlockAffineSums at(int64_t c) const { return {gain + c, shift + c}; }
};

/// z [H, W, block] to out [H/2, W/2, block]; leaves mean and rstd.
void block_forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
                   const BlockMoments& moments);

/// dout [H/2, W/2, block] to dz, which may be z; adds to `into`.
void block_backward(const BlockMap& map, const float* z, const float* dout,
                    const BlockAffine& affine, const BlockMoments& moments,
                    const BlockAffineSums& into, float* dz);

/// The tangent of z to the output's; mean and rstd are there, the moments' tangents are left.
void block_forward_tangent(const BlockMap& map, const BlockDual& z, const BlockAffine& affine,
                           float* out, const BlockMoments& moments);

/// Cotangents back, to dz, whose places may be those of z. Adds the derivatives of the parameters'
/// cotangents to `into`.
void block_backward_tangent(const BlockMap& map, const BlockDual& z, const BlockDual& dout,
                            const BlockAffine& affine, const BlockMoments& moments,
                            const BlockAffineSums& into, const BlockDualPlace& dz);

}  // namespace retort::nets
