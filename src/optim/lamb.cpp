// LAMB (You et al., ICLR 2020) without decay: Adam's step, epsilon 1e-6, scaled to the norm of the
// tensor.
#include "core/limits.h"
#include "optim/kinds.h"
#include "optim/moments.h"

namespace retort::optim {
namespace {

class Lamb : public Optimizer {
 public:
  Lamb(const OptimizerOptions& options, const at::Tensor& like) : moments_(options, like) {}

  void step(const at::Tensor& value, const at::Tensor& gradient, double rate) override {
    constexpr double kEpsilon = 1e-6;
    moments_.update(gradient);
    const at::Tensor move = corrected_move(moments_, kEpsilon);
    const double own = value.norm().item<double>(), its = move.norm().item<double>();
    if (own > 0 && its > 0) rate *= own / its;
    value.sub_(move, as_float32(rate));
  }

  std::map<std::string, at::Tensor> state() const override { return moments_.state(); }

 private:
  Moments moments_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lamb(const OptimizerOptions& options, const at::Tensor& like) {
  return std::make_unique<Lamb>(options, like);
}

}  // namespace retort::optim
