// Means of features fused with the gradients of the last layer, and how far two of them are apart
// along random directions (Tan et al., CVPR 2026, by the published code). Closed forms, float32 or
// float64, no graph.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "losses/unit_rows.h"

namespace retort::losses {

/// The mean over samples of the unit vectors along (1 + w g) (x) e: e are the features of a sample,
/// g = softmax(logits) - y with its class y, so that g (x) e is the gradient of its cross-entropy
/// by the last layer's matrix, and w is the `weight`.
class InfluenceMean {
 public:
  /// By features [N, F] and logits [N, K] of samples of one class.
  InfluenceMean(const at::Tensor& features, const at::Tensor& logits, int64_t label, double weight);
  /// [K, F]
  at::Tensor value() const;

  struct Slopes {
    at::Tensor features;  ///< [N, F]
    at::Tensor logits;    ///< [N, K]
  };
  /// From cotangents of the value, [K, F].
  Slopes pullback(const at::Tensor& d) const;

 private:
  at::Tensor probabilities_;  // [N, K]
  UnitRows features_;
  UnitRows rows_;  // 1 + w g
  double weight_;
};

/// A distance of two vectors [D] and its derivative.
struct VectorGap {
  at::Tensor value;      ///< scalar
  at::Tensor synthetic;  ///< by the synthetic one, [D]
};

/// The mean over the rows t of `directions` [M, D] of (a - b)^2 / (a^2 + b^2 + 1e-8), with
/// a = t.real / |t| and b = t.synthetic / |t|.
VectorGap gap_along(const at::Tensor& real, const at::Tensor& synthetic,
                    const at::Tensor& directions);

/// Its mean over all directions without the 1e-8: 1 - 2 q / (p + r + 2 sqrt(p r - q^2)) with
/// p = |real|^2, r = |synthetic|^2 and q = real.synthetic. (a, b) is normal of the covariances p,
/// q, r up to a scale that the quotient does not see, and 2 a b / (a^2 + b^2) the sine of twice its
/// angle.
VectorGap gap_along_all(const at::Tensor& real, const at::Tensor& synthetic);

}  // namespace retort::losses
