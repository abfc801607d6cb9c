// How far two gradients of one network are apart, and the derivative of that by the first (Zhao et
// al., ICLR 2021, equation 10). Closed forms, float32 or float64, no graph.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace retort::losses {

/// One parameter tensor inside a flat gradient, seen as a matrix.
struct GradientSpan {
  int64_t offset = 0;
  int64_t rows = 1;     ///< output filters, output units, or channels of a LayerNorm
  int64_t columns = 1;  ///< numbers in a row
  bool counted = true;  ///< by kLayerwise; the other metrics take every number
};

/// The span of a tensor of this shape: its first side are the rows. One-dimensional tensors (biases
/// and the scales of most norms) are not counted.
GradientSpan gradient_span(const std::vector<int64_t>& shape, int64_t offset);

/// What is added up. With e = 1e-6:
enum class GradientMetric {
  kLayerwise,  ///< over counted rows: 1 - <a, b> / (|a| |b| + e); published as "ours"
  kSquared,    ///< |a - b|^2 over all numbers; "mse"
  kCosine,     ///< 1 - <a, b> / (|a| |b| + e) of the whole vectors; "cos"
};

/// A distance and its derivative.
struct GradientDistance {
  at::Tensor value;       ///< scalar, or [G]
  at::Tensor derivative;  ///< by the first gradient, of its shape
};

/// Of `synthetic` from `real`, both [P], or [G, P] for G pairs. A row of zeros has the distance 1
/// and is not moved by its own length: there the derivative of |a| is taken as 0.
GradientDistance gradient_distance(const at::Tensor& synthetic, const at::Tensor& real,
                                   const std::vector<GradientSpan>& spans, GradientMetric metric);

}  // namespace retort::losses
