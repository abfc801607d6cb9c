#include "nets/blocked/head.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "nets/winograd/dense.h"

namespace retort::nets {
namespace {

void add_product(const BlockedNetwork& network, const float* dlogits, const float* features,
                 int64_t rows, float* dtheta) {
  add_matrix_product(network.classes, network.features, rows, dlogits, 1, network.classes, features,
                     dtheta + network.head_weight);
}

/// Adds do W to dfeatures [n, F].
void add_back(const BlockedNetwork& network, const float* dlogits, const float* theta, int64_t rows,
              float* dfeatures) {
  add_matrix_product(rows, network.features, network.classes, dlogits, network.classes, 1,
                     theta + network.head_weight, dfeatures);
}

/// Adds f W^T to logits [n, K].
void add_logits(const BlockedNetwork& network, const float* theta, const float* features,
                int64_t rows, float* logits) {
  add_rows_by_rows(rows, network.classes, network.features, features, theta + network.head_weight,
                   logits);
}

void add_bias(const BlockedNetwork& network, const float* dlogits, int64_t rows, float* dtheta) {
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t k = 0; k < network.classes; ++k)
      dtheta[network.head_bias + k] += dlogits[n * network.classes + k];
}

/// Cross-entropy of classes: q - y by row, without a graph.
HeadLoss class_loss(const at::Tensor& logits, const losses::Targets& targets, double share) {
  const int64_t rows = logits.size(0);
  const at::Tensor labels = targets.values.to(at::kLong).unsqueeze(1);
  at::Tensor log_q = at::log_softmax(logits, 1), d = log_q.exp();
  at::Tensor losses = log_q.gather(1, labels).squeeze(1).neg_();
  d.scatter_add_(1, labels, at::full({rows, 1}, -1.0, d.options()));
  if (targets.weights.defined()) {
    const at::Tensor weights = targets.weights.detach();
    losses = losses * weights;
    d.mul_(weights.unsqueeze(1));
  }
  return {losses.mean().mul_(share), d.mul_(share / static_cast<double>(rows)), at::Tensor()};
}

}  // namespace

at::Tensor head(const BlockedNetwork& network, const float* theta, const float* features,
                int64_t rows) {
  at::Tensor logits = at::empty({rows, network.classes});
  float* out = logits.data_ptr<float>();
  for (int64_t n = 0; n < rows; ++n)
    std::copy_n(theta + network.head_bias, network.classes, out + n * network.classes);
  add_logits(network, theta, features, rows, out);
  return logits;
}

Dual head_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                  const DualFeatures& features, int64_t rows) {
  Dual logits{head(network, theta, features.value, rows),
              head(network, tangent, features.value, rows)};
  add_logits(network, theta, features.tangent, rows, logits.tangent.data_ptr<float>());
  return logits;
}

void head_back(const BlockedNetwork& network, const float* theta, const float* dlogits,
               const float* features, int64_t rows, float* dtheta, float* dfeatures, bool add) {
  if (dtheta) {
    add_product(network, dlogits, features, rows, dtheta);
    add_bias(network, dlogits, rows, dtheta);
  }
  if (!add) std::fill_n(dfeatures, rows * network.features, 0.0f);
  add_back(network, dlogits, theta, rows, dfeatures);
}

void head_back_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                       const Dual& dlogits, const DualFeatures& features, float* dtheta,
                       float* dfeatures) {
  const int64_t rows = dlogits.value.size(0);
  const float *value = dlogits.value.data_ptr<float>(),
              *derivative = dlogits.tangent.data_ptr<float>();
  // dW. = do.^T f + do^T f.;  df. = do. W + do W.
  if (dtheta) add_product(network, value, features.tangent, rows, dtheta);
  head_back(network, theta, derivative, features.value, rows, dtheta, dfeatures);
  add_back(network, value, tangent, rows, dfeatures);
}

HeadLoss head_loss(const at::Tensor& logits, losses::Targets targets, double share,
                   WithRespectTo wrt) {
  if (targets.kind == losses::Kind::kCrossEntropy && !targets.values.is_floating_point())
    return class_loss(logits, targets, share);
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = logits.detach().set_requires_grad(true);
  targets.values = targets.values.detach();
  if (wrt.targets) targets.values.set_requires_grad(true);
  const at::Tensor loss = losses::mean_loss(leaf, targets) * share;
  std::vector<at::Tensor> inputs{leaf};
  if (wrt.targets) inputs.push_back(targets.values);
  const auto found = torch::autograd::grad({loss}, inputs);
  return {loss.detach(), found[0].contiguous(), wrt.targets ? found[1] : at::Tensor()};
}

}  // namespace retort::nets
