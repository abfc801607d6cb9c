// Losses as pure functions of tensors, differentiable any number of times.
#pragma once

#include <torch/types.h>

#include <string>

namespace retort::losses {

/// What is compared with what.
enum class Kind {
  kCrossEntropy,  ///< targets int64 [N] (classes) or float [N, K] (weights of the classes)
  kKl,            ///< T^2 KL(softmax(targets/T) || softmax(logits/T)), targets are logits [N, K]
  kSquared,       ///< sum over classes of (logits - targets)^2, targets float [N, K]
};

/// What logits are to be compared with.
struct Targets {
  at::Tensor values;
  Kind kind = Kind::kCrossEntropy;
  double temperature = 1.0;
  at::Tensor weights = {};  ///< per row [N], factor on the row's share of the mean; undefined: ones
  bool temperature_squared = true;  ///< kKl: with the factor T^2
};

/// Classes [N] as the targets of a regression, float32 [N, classes]: one-hot less 1 / classes.
at::Tensor centred_one_hot(const at::Tensor& labels, int64_t classes);

/// Loss of every row, [N]; weights are not applied.
at::Tensor row_losses(const at::Tensor& logits, const Targets& targets);

/// Sum of weighted row losses divided by N.
at::Tensor mean_loss(const at::Tensor& logits, const Targets& targets);

}  // namespace retort::losses
