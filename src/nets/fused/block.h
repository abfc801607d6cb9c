// Instance norm, ReLU and average pooling as one differentiable operation for float32 on the CPU.
#pragma once

#include <torch/types.h>

namespace retort::nets {

/// True where fused_block can take z: float32 on the CPU, [N, C, H, W], not empty.
bool fused_block_fits(const at::Tensor& z);

/// Instance norm of z [N, C, H, W] with gain and shift [C], then ReLU and a 2x2 average pool where
/// asked. The pool needs even sides. Works in and returns channels-last memory; differentiable
/// once. Bytes do not depend on the number of threads.
at::Tensor fused_block(const at::Tensor& z, const at::Tensor& gain, const at::Tensor& shift,
                       bool relu, bool pool);

}  // namespace retort::nets
