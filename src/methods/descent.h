// How one tensor moves along its gradients, and what a checkpoint keeps of that.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "retort/io/tensor_file.h"

namespace retort::methods {

const std::vector<std::string>& optimisers();  ///< "sgd", "adam", "lamb"
const std::vector<std::string>& schedules();  ///< "constant", "cosine", "cosine_to_zero", "halving"

/// What the rates are multiplied by at an iteration from 0 on: cosine ends at a tenth (FRePo),
/// cosine_to_zero has no floor (SRe2L), halving halves after every tenth of the iterations (DD).
double schedule_factor(const std::string& schedule, int64_t iteration, int64_t iterations);

/// Moves a tensor in place. sgd: v <- momentum v + g; p <- p - rate v. adam: Kingma & Ba (ICLR
/// 2015) with beta1 = momentum, epsilon 1e-8. lamb: You et al. (ICLR 2020), adam's
/// step with epsilon 1e-6 scaled to the norm of the tensor, no decay.
class Descent {
 public:
  Descent(const std::string& optimiser, at::Tensor value, double beta2 = 0.999);
  void step(const at::Tensor& gradient, double rate, double momentum);
  /// The tensors themselves: "velocity", and for adam and lamb "square" and "count".
  TensorMap state() const;

 private:
  at::Tensor value_, velocity_;
  at::Tensor square_, count_;  // count: float64 [1], steps so far; undefined for sgd
  double beta2_;
  bool lamb_;
};

}  // namespace retort::methods
