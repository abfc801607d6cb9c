#include "nets/onednn/head.h"

#include <dnnl.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace retort::nets {
namespace {

/// A row-major matrix in memory, which counts as its transpose where `transposed`.
struct Matrix {
  const float* data;
  int64_t rows, columns;
  bool transposed = false;
};

/// Row-major c = a b + beta c; on one thread inside a SingleThreadScope.
void multiply(const Matrix& a, const Matrix& b, float beta, float* c) {
  const int64_t m = a.transposed ? a.columns : a.rows, k = a.transposed ? a.rows : a.columns;
  const int64_t n = b.transposed ? b.rows : b.columns;
  dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.0f, a.data, a.columns,
             b.data, b.columns, beta, c, n);
}

/// The head's weight [K, F] of a vector of parameters.
Matrix weight_of(const BlockedNetwork& network, const float* theta, bool transposed = false) {
  return {theta + network.head_weight, network.classes, network.features, transposed};
}

void add_product(const BlockedNetwork& network, const float* dlogits, const float* features,
                 int64_t rows, float* dtheta) {
  multiply({dlogits, rows, network.classes, true}, {features, rows, network.features}, 1,
           dtheta + network.head_weight);
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
  multiply({features, rows, network.features}, weight_of(network, theta, true), 1, out);
  return logits;
}

Dual head_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                  const float* features, int64_t rows) {
  Dual logits{head(network, theta, features, rows), head(network, tangent, features, rows)};
  multiply({features + rows * network.features, rows, network.features},
           weight_of(network, theta, true), 1, logits.tangent.data_ptr<float>());
  return logits;
}

void head_back(const BlockedNetwork& network, const float* theta, const float* dlogits,
               const float* features, int64_t rows, float* dtheta, float* dfeatures, bool add) {
  if (dtheta) {
    add_product(network, dlogits, features, rows, dtheta);
    add_bias(network, dlogits, rows, dtheta);
  }
  multiply({dlogits, rows, network.classes}, weight_of(network, theta), add ? 1 : 0, dfeatures);
}

void head_back_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                       const Dual& dlogits, const float* features, float* dtheta,
                       float* dfeatures) {
  const int64_t rows = dlogits.value.size(0), size = rows * network.features;
  const float *value = dlogits.value.data_ptr<float>(),
              *derivative = dlogits.tangent.data_ptr<float>();
  // dW. = do.^T f + do^T f.;  df. = do. W + do W.
  add_product(network, value, features + size, rows, dtheta);
  head_back(network, theta, derivative, features, rows, dtheta, dfeatures + size);
  const Matrix dvalue{value, rows, network.classes};
  multiply(dvalue, weight_of(network, theta), 0, dfeatures);
  multiply(dvalue, weight_of(network, tangent), 1, dfeatures + size);
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
