// Losses of logits [N, K] against classes, distributions, teachers' logits or plain numbers.
#include "retort/losses/losses.h"

#include <ATen/core/Reduction.h>

namespace retort::losses {
namespace {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& values) {
  const at::Tensor log_p = at::log_softmax(logits, 1);
  if (values.is_floating_point()) return -(values * log_p).sum(1);
  TORCH_CHECK(values.dim() == 1 && values.size(0) == logits.size(0),
              "hard targets must be [N], one class a row of logits");
  // Not a gather, whose way back a GPU adds up by sorting.
  return at::nll_loss(log_p, values.to(at::kLong), {}, at::Reduction::None);
}

// T^2 keeps the gradient's size as the temperature changes (Hinton et al. 2015, section 2).
at::Tensor divergence(const at::Tensor& logits, const Targets& targets) {
  const double t = targets.temperature;
  const at::Tensor log_q = at::log_softmax(logits / t, 1);
  const at::Tensor log_p = at::log_softmax(targets.values / t, 1);
  return (targets.temperature_squared ? t * t : 1) * (log_p.exp() * (log_p - log_q)).sum(1);
}

}  // namespace

at::Tensor centred_one_hot(const at::Tensor& labels, int64_t classes) {
  return at::one_hot(labels, classes).to(at::kFloat) - 1 / static_cast<double>(classes);
}

at::Tensor row_losses(const at::Tensor& logits, const Targets& targets) {
  TORCH_CHECK(logits.dim() == 2, "logits must be [N, K]");
  if (targets.kind == Kind::kCrossEntropy && !targets.values.is_floating_point())
    return cross_entropy(logits, targets.values);
  TORCH_CHECK(targets.values.sizes() == logits.sizes(),
              "soft targets must be [N, K] as the logits");
  switch (targets.kind) {
    case Kind::kCrossEntropy:
      return cross_entropy(logits, targets.values);
    case Kind::kKl:
      return divergence(logits, targets);
    case Kind::kSquared:
      return (logits - targets.values).square().sum(1);
  }
  TORCH_INTERNAL_ASSERT(false, "unknown kind of loss");
}

at::Tensor mean_loss(const at::Tensor& logits, const Targets& targets) {
  at::Tensor rows = row_losses(logits, targets);
  if (targets.weights.defined()) rows = rows * targets.weights;
  return rows.mean();
}

}  // namespace retort::losses
