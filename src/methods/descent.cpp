#include "methods/descent.h"

#include <cmath>

#include "retort/core/limits.h"

namespace retort::methods {
namespace {

constexpr double kSmallestShare = 0.1;  // of the rate, at the end of cosine
constexpr int64_t kHalvings = 10;

}  // namespace

const std::vector<std::string>& optimisers() {
  static const std::vector<std::string> all = {"sgd", "adam", "lamb"};
  return all;
}

const std::vector<std::string>& schedules() {
  static const std::vector<std::string> all = {"constant", "cosine", "cosine_to_zero", "halving"};
  return all;
}

double schedule_factor(const std::string& schedule, int64_t iteration, int64_t iterations) {
  const double share = static_cast<double>(iteration) / static_cast<double>(iterations);
  const double falling = (1 + std::cos(M_PI * share)) / 2;
  if (schedule == "cosine") return kSmallestShare + (1 - kSmallestShare) * falling;
  if (schedule == "cosine_to_zero") return falling;
  if (schedule == "halving")
    return std::pow(0.5, static_cast<double>(iteration * kHalvings / iterations));
  return 1;
}

Descent::Descent(const std::string& optimiser, at::Tensor value, double beta2)
    : value_(std::move(value)),
      velocity_(at::zeros_like(value_)),
      beta2_(beta2),
      lamb_(optimiser == "lamb") {
  if (optimiser == "sgd") return;
  square_ = at::zeros_like(value_);
  count_ = at::zeros({1}, at::kDouble);
}

void Descent::step(const at::Tensor& gradient, double rate, double momentum) {
  if (!square_.defined()) {
    velocity_.mul_(momentum).add_(gradient);
    value_.sub_(velocity_, as_float32(rate));
    return;
  }
  count_.add_(1);
  const auto steps = count_.item<double>();
  velocity_.mul_(momentum).add_(gradient, 1 - momentum);
  square_.mul_(beta2_).addcmul_(gradient, gradient, 1 - beta2_);
  const at::Tensor size = (square_ / (1 - std::pow(beta2_, steps))).sqrt_();
  const at::Tensor move =
      velocity_ / (1 - std::pow(momentum, steps)) / size.add_(lamb_ ? 1e-6 : 1e-8);
  if (lamb_) {
    const double own = value_.norm().item<double>(), its = move.norm().item<double>();
    if (own > 0 && its > 0) rate *= own / its;
  }
  value_.sub_(move, as_float32(rate));
}

TensorMap Descent::state() const {
  if (!square_.defined()) return {{"velocity", velocity_}};
  return {{"velocity", velocity_}, {"square", square_}, {"count", count_}};
}

}  // namespace retort::methods
