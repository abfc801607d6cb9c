// AdamW (Loshchilov and Hutter, ICLR 2019) as PyTorch has it: x <- (1 - rate decay) x, then Adam's
// step with sqrt(v) / sqrt(1 - beta2^t) + 1e-8 below.
#include "optim/kinds.h"
#include "optim/moments.h"

namespace retort::optim {
namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, const at::Tensor& like)
      : decay_(options.weight_decay), decaying_(options.decaying), moments_(options, like) {}

  void step(const at::Tensor& value, const at::Tensor& gradient, double rate) override {
    constexpr double kEpsilon = 1e-8;
    moments_.update(gradient);
    if (decaying_.defined())
      value.mul_(1 - rate * decay_ * decaying_);
    else
      value.mul_(1 - rate * decay_);
    const at::Tensor size =
        moments_.second.sqrt().div_(std::sqrt(moments_.correction2())).add_(kEpsilon);
    value.addcdiv_(moments_.first, size, -rate / moments_.correction1());
  }

  std::map<std::string, at::Tensor> state() const override { return moments_.state(); }

 private:
  const double decay_;
  const at::Tensor decaying_;
  Moments moments_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, const at::Tensor& like) {
  return std::make_unique<AdamW>(options, like);
}

}  // namespace retort::optim
