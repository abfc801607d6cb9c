// Instance norm (affine), ReLU and 2x2 average pooling of one image in one sweep, forward and
// backward. No torch here. Images are [H, W, C] float; H and W are even where pooled.
#pragma once

#include <cstdint>

namespace retort::nets {

/// What is done after the norm, on which size.
struct FusedShape {
  int64_t height, width, channels;
  bool relu, pool;
};

/// Per channel: the affine parameters.
struct FusedAffine {
  const float *gain, *shift;
};

/// Per channel: mean and inverse deviation, for going back.
struct FusedMoments {
  float *mean, *rstd;
};

/// Where cotangents go: dz [H, W, C], and this image's share of those of the parameters.
struct FusedCotangents {
  float *z, *gain, *shift;
};

/// z [H, W, C] to out [H', W', C]; leaves the moments.
void fused_forward(const FusedShape& shape, const float* z, const FusedAffine& affine, float* out,
                   const FusedMoments& moments);

/// dout [H', W', C] to the cotangents of z and of the parameters.
void fused_backward(const FusedShape& shape, const float* z, const float* dout,
                    const FusedAffine& affine, const FusedMoments& moments,
                    const FusedCotangents& into);

}  // namespace retort::nets
