// Adam (Kingma and Ba, ICLR 2015), epsilon 1e-8.
#include "core/limits.h"
#include "optim/kinds.h"
#include "optim/moments.h"

namespace retort::optim {
namespace {

class Adam : public Optimizer {
 public:
  Adam(const OptimizerOptions& options, const at::Tensor& like) : moments_(options, like) {}

  void step(const at::Tensor& value, const at::Tensor& gradient, double rate) override {
    constexpr double kEpsilon = 1e-8;
    moments_.update(gradient);
    value.sub_(corrected_move(moments_, kEpsilon), as_float32(rate));
  }

  std::map<std::string, at::Tensor> state() const override { return moments_.state(); }

 private:
  Moments moments_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const OptimizerOptions& options, const at::Tensor& like) {
  return std::make_unique<Adam>(options, like);
}

}  // namespace retort::optim
