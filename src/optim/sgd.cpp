// SGD by PyTorch's rule: v <- momentum v + (g + decay x); x <- x - rate v.
#include "core/limits.h"
#include "optim/kinds.h"

namespace retort::optim {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, const at::Tensor& like)
      : options_(options), velocity_(at::zeros_like(like)) {}

  void step(const at::Tensor& value, const at::Tensor& gradient, double rate) override {
    velocity_.mul_(options_.momentum);
    if (options_.weight_decay == 0) {
      velocity_.add_(gradient);
    } else {
      const at::Tensor decaying = options_.decaying.defined() ? value * options_.decaying : value;
      if (options_.late_decay)
        velocity_.add_(gradient).add_(decaying, options_.weight_decay);
      else
        velocity_.add_(at::add(gradient, decaying, options_.weight_decay));
    }
    value.sub_(velocity_, as_float32(rate));
  }

  std::map<std::string, at::Tensor> state() const override { return {{"velocity", velocity_}}; }

 private:
  const OptimizerOptions options_;
  at::Tensor velocity_;
};

class PlainDescent : public Optimizer {
 public:
  void step(const at::Tensor& value, const at::Tensor& gradient, double rate) override {
    value.sub_(rate * gradient);
  }
  std::map<std::string, at::Tensor> state() const override { return {}; }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const at::Tensor& like) {
  return std::make_unique<Sgd>(options, like);
}

std::unique_ptr<Optimizer> make_plain_descent() {
  return std::make_unique<PlainDescent>();
}

}  // namespace retort::optim
