// SGD by PyTorch's rule and AdamW (Loshchilov and Hutter, ICLR 2019), by hand on one tensor.
#include "train/optimiser.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "retort/core/error.h"
#include "retort/core/limits.h"

namespace retort::train {
namespace {

/// v <- momentum v + (g + decay theta), the first v = g + decay theta; theta <- theta - rate v.
class Sgd : public Optimiser {
 public:
  Sgd(double momentum, double decay, at::Tensor decaying)
      : momentum_(momentum), decay_(decay), decaying_(std::move(decaying)) {}

  void step(at::Tensor& theta, const at::Tensor& gradient, double learning_rate) override {
    const at::Tensor decayed =
        at::add(gradient, decaying_.defined() ? theta * decaying_ : theta, decay_);
    if (velocity_.defined() && momentum_ > 0)
      velocity_.mul_(momentum_).add_(decayed);
    else
      velocity_ = decayed;
    theta.add_(velocity_, -as_float32(learning_rate));
  }

  void reset() override { velocity_ = at::Tensor(); }

 private:
  double momentum_, decay_;
  at::Tensor decaying_, velocity_;
};

class AdamW : public Optimiser {
 public:
  AdamW(double decay, at::Tensor decaying) : decay_(decay), decaying_(std::move(decaying)) {}

  void step(at::Tensor& theta, const at::Tensor& gradient, double learning_rate) override {
    if (decaying_.defined()) theta.mul_(1 - learning_rate * decay_ * decaying_);
    adam_step(theta, gradient, moments_, learning_rate, decaying_.defined() ? 0 : decay_);
  }

  void reset() override { moments_ = {}; }

 private:
  double decay_;
  at::Tensor decaying_;
  AdamMoments moments_;
};

/// The last epoch at the full rate of schedule drop (reference code of DC and DM).
int64_t last_full_epoch(const TrainOptions& options) {
  return options.epochs / 2 + 1;
}

/// Up to the full rate in a straight line from 0, then half a cosine down to 1 % of it (FRePo). A
/// training shorter than twice the warm-up warms up for half of its steps.
double warmup_cosine(const TrainOptions& options, int64_t step, int64_t steps) {
  constexpr double kLowest = 0.01;
  const int64_t warmup = std::min(options.warmup_steps, steps / 2);
  if (step < warmup)
    return options.learning_rate * static_cast<double>(step) / static_cast<double>(warmup);
  const double share = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * share));
  return options.learning_rate * (kLowest + (1 - kLowest) * cosine);
}

}  // namespace

void adam_step(at::Tensor& theta, const at::Tensor& gradient, AdamMoments& moments,
               double learning_rate, double decay) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  if (moments.steps++ == 0) {
    moments.first = at::zeros_like(theta);
    moments.second = at::zeros_like(theta);
  }
  moments.first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
  moments.second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const double steps = static_cast<double>(moments.steps);
  const double correction1 = 1 - std::pow(kBeta1, steps);
  const double correction2 = 1 - std::pow(kBeta2, steps);
  const at::Tensor scale = moments.second.sqrt().div_(std::sqrt(correction2)).add_(kEpsilon);
  theta.mul_(1 - learning_rate * decay)
      .addcdiv_(moments.first, scale, -learning_rate / correction1);
}

std::unique_ptr<Optimiser> make_optimiser(const TrainOptions& options, const at::Tensor& decaying) {
  if (options.optimiser == "sgd")
    return std::make_unique<Sgd>(options.momentum, options.weight_decay, decaying);
  if (options.optimiser == "adamw") return std::make_unique<AdamW>(options.weight_decay, decaying);
  throw ConfigError::unknown("choosing how to train", "optimiser", options.optimiser,
                             {"sgd", "adamw"});
}

double learning_rate_at(const TrainOptions& options, int64_t epoch, int64_t batch,
                        int64_t batches) {
  const double rate = options.learning_rate;
  if (options.schedule == "drop") return epoch > last_full_epoch(options) ? 0.1 * rate : rate;
  if (options.schedule == "constant") return rate;
  if (options.schedule == "cosine" || options.schedule == "slow_cosine") {
    const int64_t last = options.schedule_epochs > 0 ? options.schedule_epochs : options.epochs;
    const double slow = options.schedule == "slow_cosine" ? 2 : 1;
    constexpr double kFirst = 0.01;  // of the rate, as torchvision's training begins
    const int64_t warmup = options.warmup_epochs;
    if (epoch < warmup)
      return rate *
             (kFirst + (1 - kFirst) * static_cast<double>(epoch) / static_cast<double>(warmup));
    const double share = static_cast<double>(epoch - warmup) /
                         (slow * static_cast<double>(std::max<int64_t>(last - warmup, 1)));
    return 0.5 * rate * (1 + std::cos(std::numbers::pi * share));
  }
  if (options.schedule == "warmup_cosine")
    return warmup_cosine(options, epoch * batches + batch, options.epochs * batches);
  throw ConfigError::unknown("choosing how to train", "schedule", options.schedule,
                             {"drop", "constant", "cosine", "slow_cosine", "warmup_cosine"});
}

bool resets_before(const TrainOptions& options, int64_t epoch) {
  return options.schedule == "drop" && epoch == last_full_epoch(options) + 1;
}

int64_t passes(const TrainOptions& options) {
  return options.schedule == "drop" ? options.epochs + 1 : options.epochs;
}

}  // namespace retort::train
