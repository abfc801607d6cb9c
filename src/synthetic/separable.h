// Linear maps of images that act on columns and rows apart: x -> R x C^T. The adjoint is two matrix
// products as well, which give the same bytes again on a GPU; libtorch's own adjoint of upsampling
// does not.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace retort::synthetic {

/// Maps [..., h, w] to [..., H, W].
struct Separable {
  at::Tensor rows;     ///< R, [H, h]
  at::Tensor columns;  ///< C, [W, w]
  at::Tensor apply(const at::Tensor& images) const;
  at::Tensor adjoint(const at::Tensor& cotangents) const;  ///< [..., H, W] to [..., h, w]
};

/// Bilinear resizing with align_corners=false and no smoothing, as torch's interpolate does it.
Separable interpolation(at::IntArrayRef from, at::IntArrayRef to, const at::TensorOptions& options);

/// The orthonormal DCT-II of images of that height and width; its adjoint is its inverse.
Separable cosines(at::IntArrayRef size, const at::TensorOptions& options);

}  // namespace retort::synthetic
