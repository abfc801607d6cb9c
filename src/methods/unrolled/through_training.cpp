#include "methods/unrolled/through_training.h"

#include <cmath>

namespace retort::methods {

ThroughTraining::ThroughTraining(const Context& context)
    : context_(context),
      real_(context.data.train, context.data.preprocessing, context.device),
      strategy_(augment::parse_strategy(context.augmentation)) {}

at::Tensor ThroughTraining::augmentation(const char* purpose, uint64_t iteration,
                                         uint64_t step) const {
  if (strategy_.operations.empty()) return {};
  RandomStream draw(context_.seed, purpose, iteration, step);
  return augment::draw_shared(strategy_, context_.data.height, context_.data.width, draw);
}

void ThroughTraining::begin(int64_t iteration, const SyntheticSet&) {
  const auto index = static_cast<uint64_t>(iteration);
  start_ = context_.network.initial(RandomStream(context_.seed, "unrolled.network", index))
               .to(context_.device);
  state_ = context_.network.initial_state().to(context_.device);
  real_batch_ = real_.batch(draw_real(index));
  const at::Tensor augment = augmentation("unrolled.augment_real", index, 0);
  if (augment.defined()) real_batch_.images = augment::apply(real_batch_.images, augment);
  steps_ = draw_steps(index);
}

std::pair<double, at::Tensor> ThroughTraining::outer(const at::Tensor& theta) const {
  const nets::Inputs inputs{theta, state_, real_batch_.images.to(theta.scalar_type())};
  const nets::Gradient found = context_.network.gradient(inputs, {real_batch_.targets});
  return {found.loss.item<double>(), found.theta};
}

Cotangents ThroughTraining::evaluate(const SyntheticSet& set, int64_t) {
  const at::ScalarType type = set.images.scalar_type();
  train::UnrollSet inner{set.images, set.labels.to(context_.device)};
  prepare(set, inner);
  train::UnrollOptions options = how();
  const int64_t kept = std::ssize(steps_) * start_.numel() * int64_t{4};
  if (kept > context_.network.spare_bytes()) options.checkpoints = true;
  train::Unroll unroll(context_.network, inner, steps_, options, state_.to(type));
  const auto [loss, gradient] = outer(unroll.forward(start_.to(type)));
  Cotangents result;
  result.loss = loss;
  if (!std::isfinite(loss)) return result;
  const train::UnrollGradient found = unroll.backward(gradient);
  result.images = found.images;
  result.learned = gradients_of_learned(found);
  return result;
}

}  // namespace retort::methods
