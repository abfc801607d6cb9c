// Instance norm (affine), ReLU and 2x2 average pooling over one block of channels of one image,
// with their cotangents and their derivatives along a direction (spec of the sweep of tangents).
// Maps are oneDNN's blocked layout: [H, W, block] floats of neighbouring channels. No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

/// A map of one block of channels; sides are even, `block` is 8 or 16. Pointers are aligned to 32
/// or 64 bytes.
struct BlockMap {
  int64_t height, width, block;
};

/// Per channel of a block: the affine parameters and their part of the direction.
struct BlockAffine {
  const float *gain, *shift;
  const float *gain_tangent = nullptr, *shift_tangent = nullptr;
};

/// Per channel of a block: what the way back needs. `mean_tangent` and `covariance` (the mean of n
/// times the centred tangent) belong to the derivative.
struct BlockMoments {
  float *mean, *rstd;
  float *mean_tangent = nullptr, *covariance = nullptr;
};

/// z [H, W, block] to out [H/2, W/2, block]; leaves mean and rstd.
void block_forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
                   const BlockMoments& moments);

/// dout [H/2, W/2, block] to dz, written over z; adds to dgain and dshift.
void block_backward(const BlockMap& map, float* z, const float* dout, const BlockAffine& affine,
                    const BlockMoments& moments, float* dgain, float* dshift);

/// A tangent that is the sum of two maps; `second` may be null.
struct BlockTangent {
  float* first;
  const float* second = nullptr;
};

/// z and its tangent to the outputs and their tangents. The tangent's sum is left in its first map.
void block_forward_tangent(const BlockMap& map, const float* z, BlockTangent tangent,
                           const BlockAffine& affine, float* out, float* out_tangent,
                           const BlockMoments& moments);

/// Cotangents back: dz is written over the tangent of z, its derivative over z, so that a batch of
/// [x, tangents of x] meets [derivatives of dz, dz] in one correlation. Adds the derivatives of
/// dgain and dshift along the direction.
void block_backward_tangent(const BlockMap& map, float* z, float* z_tangent, const float* dout,
                            const float* dout_tangent, const float* dout_tangent2,
                            const BlockAffine& affine, const BlockMoments& moments,
                            float* dgain_tangent, float* dshift_tangent);

}  // namespace retort::nets
