// The tangent kernel of an infinitely wide fully connected ReLU network, in closed form.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace retort::methods {

/// Kernel values [N, M] of rows a [N, D] and b [M, D], float64; `depth` hidden layers, variance 2
/// of the weights (over the width before) and 0.01 of the biases (Jacot et al., NeurIPS 2018;
/// settings of KIP). Differentiable by autograd; where two rows point the same way, the kernel has
/// a kink and the derivative by their angle is taken as 0.
at::Tensor tangent_kernel(const at::Tensor& a, const at::Tensor& b, int64_t depth);

}  // namespace retort::methods
