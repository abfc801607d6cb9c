// A parameter row applied to one plain image, and its pullback: all operations are linear in the
// image, so the pullback needs the row alone.
#pragma once

#include <torch/types.h>

namespace retort::augment {

/// The same as apply() for images on the CPU, one image after another on all threads.
at::Tensor apply_rows(const at::Tensor& images, const at::Tensor& rows);
/// The same as pullback() for cotangents on the CPU.
at::Tensor pullback_rows(const at::Tensor& cotangents, const at::Tensor& rows);

/// The same as apply() in tensor operations, for any device; rows on the CPU.
at::Tensor apply_tensors(const at::Tensor& images, const at::Tensor& rows);
/// The same as pullback() for any device, by gathers alone: equal bytes every time.
at::Tensor pullback_tensors(const at::Tensor& cotangents, const at::Tensor& rows);

}  // namespace retort::augment
