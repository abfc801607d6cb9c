// Kernel ridge regression with its exact derivatives.
#pragma once

#include <torch/types.h>

namespace retort::methods {

/// Derivatives of a scalar that depends on predictions.
struct RidgeCotangents {
  at::Tensor support;  ///< by K_ss, [M, M], as if all its entries were free
  at::Tensor target;   ///< by K_ts, [T, M]
  at::Tensor labels;   ///< [M, K]
};

/// Predictions P = K_ts A^-1 Y with A = K_ss + regularisation tr(K_ss) / M I, in float64.
class KernelRidge {
 public:
  /// k_ss [M, M], k_ts [T, M], float64. StateError where A is not positive definite.
  KernelRidge(at::Tensor k_ss, at::Tensor k_ts, double regularisation);

  /// labels [M, K] to predictions [T, K].
  at::Tensor predict(const at::Tensor& labels) const;
  /// Pulls dL/dP [T, K] back.
  RidgeCotangents vjp(const at::Tensor& labels, const at::Tensor& predictions) const;
  /// The labels whose predictions are nearest to the targets [T, K], by least squares; the smallest
  /// of them where there are several.
  at::Tensor solve_labels(const at::Tensor& targets) const;

 private:
  at::Tensor solve(const at::Tensor& right) const;  // A^-1 right

  at::Tensor k_ts_, factor_;  // factor_: lower Cholesky factor of A
  double share_;              // regularisation / M
};

}  // namespace retort::methods
