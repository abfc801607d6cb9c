#include "nets/onednn/head.h"

#include <dnnl.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace retort::nets {
namespace {

/// Row-major c [m, n] = a b + beta c, transposed as asked; on one thread inside an
/// SingleThreadScope.
void multiply(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
              const float* b, float beta, float* c) {
  const int64_t lda = transpose_a == 'N' ? k : m, ldb = transpose_b == 'N' ? n : k;
  dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.0f, a, lda, b, ldb, beta, c, n);
}

void add_product(const BlockedNetwork& network, const float* dlogits, const float* features,
                 int64_t rows, float* dtheta) {
  multiply('T', 'N', network.classes, network.features, rows, dlogits, features, 1,
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
  multiply('N', 'T', rows, network.classes, network.features, features, theta + network.head_weight,
           1, out);
  return logits;
}

Dual head_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                  const float* features, int64_t rows) {
  Dual logits{head(network, theta, features, rows), head(network, tangent, features, rows)};
  multiply('N', 'T', rows, network.classes, network.features, features + rows * network.features,
           theta + network.head_weight, 1, logits.tangent.data_ptr<float>());
  return logits;
}

void head_back(const BlockedNetwork& network, const float* theta, const float* dlogits,
               const float* features, int64_t rows, float* dtheta, float* dfeatures, bool add) {
  if (dtheta) {
    add_product(network, dlogits, features, rows, dtheta);
    add_bias(network, dlogits, rows, dtheta);
  }
  multiply('N', 'N', rows, network.features, network.classes, dlogits, theta + network.head_weight,
           add ? 1 : 0, dfeatures);
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
  multiply('N', 'N', rows, network.features, network.classes, value, theta + network.head_weight, 0,
           dfeatures);
  multiply('N', 'N', rows, network.features, network.classes, value, tangent + network.head_weight,
           1, dfeatures + size);
}

HeadLoss head_loss(const at::Tensor& logits, losses::Targets targets, double share, bool wanted) {
  if (targets.kind == losses::Kind::kCrossEntropy && !targets.values.is_floating_point())
    return class_loss(logits, targets, share);
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = logits.detach().set_requires_grad(true);
  targets.values = targets.values.detach();
  if (wanted) targets.values.set_requires_grad(true);
  const at::Tensor loss = losses::mean_loss(leaf, targets) * share;
  std::vector<at::Tensor> inputs{leaf};
  if (wanted) inputs.push_back(targets.values);
  const auto found = torch::autograd::grad({loss}, inputs);
  return {loss.detach(), found[0].contiguous(), wanted ? found[1] : at::Tensor()};
}

}  // namespace retort::nets
