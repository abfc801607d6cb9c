// What a run that diverges is stopped with: which rate to lower.
#include "methods/outer_loop.h"

#include <gtest/gtest.h>

#include <limits>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::methods {
namespace {

/// Learns one tensor beside the images; its loss and gradients are as given.
class Given : public Objective {
 public:
  Given(std::string name, double loss, double gradient)
      : learned_{{std::move(name), at::zeros({2}), 1.0, 0.0}}, loss_(loss), gradient_(gradient) {}
  void begin(int64_t) override {}
  Cotangents cotangents(const SyntheticSet& view) override {
    return {loss_, at::zeros_like(view.images), {at::full({2}, gradient_)}};
  }
  std::vector<Learned> learned() override { return learned_; }

 private:
  std::vector<Learned> learned_;
  double loss_, gradient_;
};

void expect_stopped(const std::string& learned, double loss, double gradient,
                    const std::vector<std::string>& parts) {
  SCOPED_TRACE(learned);
  DistillOptions options;
  synthetic::SetLayout layout{{1, 1}, 1, 2, 2};
  auto set = synthetic::parametrisation_table().front().make()->make({layout});
  set->initialise(at::zeros({2, 1, 2, 2}));
  OuterLoop outer(options, std::move(set), std::make_unique<Given>(learned, loss, gradient));
  tests::expect_error<StateError>([&] { outer.step(7); }, parts);
}

constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST(Divergence, OfWhatIsLearnedNamesItsOwnRate) {
  const std::string kept = "choose another --out; the checkpoint of the iterations before is kept";
  expect_stopped(
      "student_learning_rate", 1, kInfinite,
      {"distilling, iteration 7", "student_learning_rate became infinite",
       "lower --student-rate-learning-rate (or --student-learning-rate, where it starts) "
       "and " +
           kept});
  expect_stopped("step_learning_rates", 1, kInfinite,
                 {"step_learning_rates became infinite", "lower --student-rate-learning-rate"});
  expect_stopped("label_logits", 1, kInfinite,
                 {"label_logits became infinite", "lower --label-learning-rate and " + kept});
}

TEST(Divergence, OfALossNamesAllRatesThatItDependsOn) {
  expect_stopped("label_logits", kInfinite, 0,
                 {"the loss became inf",
                  "lower --image-learning-rate or --label-learning-rate and choose another --out"});
  expect_stopped(
      "student_learning_rate", -kInfinite, 0,
      {"the loss became -inf", "lower --image-learning-rate or --student-rate-learning-rate"});
}

}  // namespace
}  // namespace retort::methods
