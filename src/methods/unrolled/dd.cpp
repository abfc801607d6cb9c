// Dataset distillation as first published (Wang et al., 2018): ordered minibatches of one image a
// class, gone through several times, every step with a learned rate of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "methods/rate_options.h"
#include "methods/unrolled/through_training.h"
#include "methods/unrolled/unrolled.h"
#include "train/sequential_training.h"

namespace retort::methods {
namespace {

struct Options {
  int64_t inner_epochs = 3;
  int64_t real_batch = 1024;
  double student_learning_rate = 0.02;
  double student_rate_learning_rate = 0.01;

  void declare(OptionSet& set) {
    set.add("inner_epochs", inner_epochs, "passes of one training over the set",
            {.min = 1, .max = 10000});
    set.add("real_batch", real_batch, "real images that the loss is computed on", {.min = 1});
    set.add("student_learning_rate", student_learning_rate,
            "learning rate of every inner step at the beginning", {.min = 1e-6});
    set.add("student_rate_learning_rate", student_rate_learning_rate,
            "learning rate of those rates", {.min = 0});
  }
};

class Dd : public ThroughTraining {
 public:
  Dd(const Context& context, const Options& options)
      : ThroughTraining(context),
        options_(options),
        raw_(at::full(
            {options.inner_epochs * std::ssize(train::ordered_batches(context.layout.counts))},
            std::log(std::expm1(options.student_learning_rate)), at::kDouble)) {}

  std::vector<synthetic::ParameterGroup> learned() override {
    return {{.name = "step_rates",
             .value = raw_,
             .learning_rate = options_.student_rate_learning_rate,
             .momentum = 0.5,  // the beta of the published Adam
             .rate_option = kStudentRateOptions}};
  }
  void complete(synthetic::Bundle& bundle) const override { bundle.step_learning_rates = rates(); }

 protected:
  std::vector<train::UnrollStep> draw_steps(uint64_t iteration) override {
    std::vector<train::UnrollStep> steps;
    const auto batches = train::ordered_batches(context().layout.counts);
    for (int64_t epoch = 0; epoch < options_.inner_epochs; ++epoch)
      for (const std::vector<int64_t>& rows : batches)
        steps.push_back({at::tensor(rows, at::kLong),
                         augmentation("unrolled.augment", iteration, steps.size())});
    return steps;
  }
  std::vector<int64_t> draw_real(uint64_t iteration) override {
    return RandomStream(context().seed, "unrolled.real", iteration)
        .sample(real().size(), options_.real_batch);
  }
  train::UnrollOptions how() const override { return {}; }
  void prepare(const SyntheticSet&, train::UnrollSet& inner) const override {
    const at::Tensor all = rates();
    inner.step_rates.assign(all.data_ptr<double>(), all.data_ptr<double>() + all.numel());
  }
  std::vector<at::Tensor> gradients_of_learned(const train::UnrollGradient& found) const override {
    return {at::tensor(found.step_rates, at::kDouble) * at::sigmoid(raw_)};
  }

 private:
  at::Tensor rates() const { return at::softplus(raw_); }

  const Options options_;
  at::Tensor raw_;  // float64 [T]; rates are its softplus, so never negative
};

}  // namespace

std::unique_ptr<Method> make_dd() {
  return std::make_unique<MethodOf<Options, Dd>>(
      LoopDefaults{.iterations = 20000,
                   .image_learning_rate = 0.01,
                   .image_momentum = 0.5,
                   .initialisation = "noise",
                   .protocol = "dd",
                   .augmentation = "none",
                   .image_optimiser = "adam",
                   .image_schedule = "halving"},
      std::vector<std::string>{
          "Networks are ConvNets with the usual initialisation; the reference has LeNet and "
          "AlexCifarNet with Xavier's.",
          "Classes with fewer images than others sit out the last minibatches.",
          "Real batches are drawn from the whole training part; the reference goes through it "
          "in epochs.",
          "The set is learned for random initialisations only; the reference also has a mode for "
          "one fixed initialisation."});
}

}  // namespace retort::methods
