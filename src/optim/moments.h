// The two moments of a gradient that adam, adamw and lamb keep.
#pragma once

#include <torch/types.h>

#include <cmath>
#include <map>
#include <string>

#include "optim/optimizer.h"

namespace retort::optim {

struct Moments {
  Moments(const OptimizerOptions& options, const at::Tensor& like)
      : beta1(options.momentum),
        beta2(options.beta2),
        first(at::zeros_like(like)),
        second(at::zeros_like(like)),
        count(at::zeros({1}, at::kDouble)) {}

  /// m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2.
  void update(const at::Tensor& gradient) {
    count.add_(1);
    first.mul_(beta1).add_(gradient, 1 - beta1);
    second.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  }

  /// 1 - beta^t: what m and v are divided by, since both began at 0.
  double correction1() const { return 1 - std::pow(beta1, count.item<double>()); }
  double correction2() const { return 1 - std::pow(beta2, count.item<double>()); }

  std::map<std::string, at::Tensor> state() const {
    return {{"velocity", first}, {"square", second}, {"count", count}};
  }

  double beta1, beta2;
  at::Tensor first, second;  // m, v
  at::Tensor count;          // float64 [1] on the CPU: steps so far
};

/// (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
inline at::Tensor corrected_move(const Moments& moments, double epsilon) {
  const at::Tensor size = (moments.second / moments.correction2()).sqrt_();
  return moments.first / moments.correction1() / size.add_(epsilon);
}

}  // namespace retort::optim
