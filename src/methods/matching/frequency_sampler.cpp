#include "methods/matching/frequency_sampler.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace retort::methods {
namespace {

constexpr int64_t kLayers = 3;
constexpr int64_t kShared = 16;  // arguments of a component
constexpr double kSlope = 0.2, kEpsilon = 1e-5;

at::Tensor normals(int64_t rows, int64_t columns, RandomStream& stream) {
  const at::Tensor values = at::empty({rows, columns}, at::kFloat);
  stream.fill_normal(values.data_ptr<float>(), values.numel());
  return values;
}

}  // namespace

FrequencySampler::FrequencySampler(int64_t features, int64_t count)
    : features_(features), count_(count) {
  TORCH_CHECK(count >= 2 * kShared, "BatchNorm needs two components");
}

// A layer in psi: weights [F, F], biases, and BatchNorm's gains and shifts, [F] each.
at::Tensor FrequencySampler::initial(RandomStream stream) const {
  const auto bound = static_cast<float>(1 / std::sqrt(static_cast<double>(features_)));
  const int64_t linear = features_ * (features_ + 1);
  at::Tensor psi = at::zeros({size()}, at::kFloat);
  for (int64_t l = 0; l < kLayers; ++l) {
    const at::Tensor layer = psi.narrow(0, l * layer_size(), layer_size());
    stream.fill_uniform(layer.data_ptr<float>(), linear, -bound, bound);
    layer.narrow(0, linear, features_).fill_(1);
  }
  return psi;
}

FrequencySampler::Draws FrequencySampler::draw(RandomStream stream) const {
  const at::Tensor noise = normals((count_ + kShared - 1) / kShared, features_, stream);
  return {noise, normals(count_, features_, stream)};
}

at::Tensor FrequencySampler::scales(const at::Tensor& psi, const at::Tensor& noise) const {
  at::Tensor x = noise;
  for (int64_t l = 0; l < kLayers; ++l) {
    const at::Tensor layer = psi.narrow(0, l * layer_size(), layer_size());
    const at::Tensor vectors = layer.narrow(0, features_ * features_, 3 * features_);
    const at::Tensor weight = layer.narrow(0, 0, features_ * features_).view({features_, -1});
    x = at::linear(x, weight, vectors.narrow(0, 0, features_));
    const at::Tensor mean = x.mean(0, true);
    const at::Tensor spread = ((x - mean).square().mean(0, true) + kEpsilon).sqrt();
    x = (x - mean) / spread * vectors.narrow(0, features_, features_) +
        vectors.narrow(0, 2 * features_, features_);
    x = l + 1 < kLayers ? at::leaky_relu(x, kSlope) : at::tanh(x);
  }
  return x;
}

SampledFrequencies FrequencySampler::sample(const at::Tensor& psi, const Draws& draws) const {
  const at::AutoGradMode graph(true);
  const at::Tensor leaf = psi.detach().requires_grad_(true);
  const at::Tensor made = scales(leaf, draws.noise);
  const at::Tensor all = made.repeat_interleave(kShared, 0).slice(0, 0, count_);
  const at::Tensor arguments = all * draws.normals;
  return {arguments.detach(), [leaf, arguments](const at::Tensor& cotangents) {
            return torch::autograd::grad({arguments}, {leaf}, {cotangents})[0];
          }};
}

}  // namespace retort::methods
