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

/// z [H, W, C] to out [H', W', C]; leaves mean [C] and inverse deviation rstd [C] for going back.
void fused_forward(const FusedShape& shape, const float* z, const float* gain, const float* shift,
                   float* out, float* mean, float* rstd);

/// dout [H', W', C] to dz [H, W, C] and this image's share of dgain [C] and dshift [C].
void fused_backward(const FusedShape& shape, const float* z, const float* dout, const float* gain,
                    const float* shift, const float* mean, const float* rstd, float* dz,
                    float* dgain, float* dshift);

}  // namespace retort::nets
