// bptt and dd on toy data.
#include <gtest/gtest.h>

#include "methods/toy.h"
#include "methods/unrolled/unrolled.h"
#include "nets/toy.h"
#include "retort/core/error.h"
#include "support/support.h"
#include "train/sequential_training.h"

namespace retort::methods {
namespace {

// Smooth and in float64: differences are an oracle.
struct Toy {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network = nets::make_network("convnet-w4-d2-swish", {3, 8, 8, 3});
  synthetic::SetLayout layout{{2, 1, 2}, 3, 8, 8};
  std::unique_ptr<Method> method;
  OptionSet set;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

  Toy(std::unique_ptr<Method> made, const std::map<std::string, std::string>& given)
      : method(std::move(made)) {
    method->declare(set);
    Problems problems;
    for (const auto& [key, text] : given) set.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective(context());
    view.labels = layout.labels();
    view.offsets = layout.offsets();
    view.images = tests::normals({layout.size(), 3, 8, 8}, 7);
  }
  Context context() const {
    return {data, *network, layout, "flip_rotate", 5, at::Device(at::kCPU)};
  }
  Cotangents at_iteration(int64_t iteration) {
    objective->begin(iteration, view);
    return objective->evaluate(view, 0);
  }
  /// Central differences of the loss as `tensor` moves along `direction`.
  double slope(at::Tensor tensor, const at::Tensor& direction, double step) {
    tensor.add_(direction, step);
    const double ahead = at_iteration(1).loss;
    tensor.sub_(direction, 2 * step);
    const double behind = at_iteration(1).loss;
    tensor.add_(direction, step);
    return (ahead - behind) / (2 * step);
  }
};

const std::map<std::string, std::string> kBptt{{"inner_steps", "5"},
                                               {"real_per_class", "4"},
                                               {"synthetic_per_class", "1"},
                                               {"student_learning_rate", "0.05"},
                                               {"student_rate_learning_rate", "1"},
                                               {"label_learning_rate", "1"}};

TEST(Bptt, GradientsAreThoseOfTheWholeOuterLoss) {
  Toy toy(make_bptt(), kBptt);
  toy.view.images = toy.view.images.to(at::kDouble);
  const Cotangents found = toy.at_iteration(1);
  const at::Tensor direction = tests::normals(toy.view.images.sizes().vec(), 9);
  EXPECT_NEAR(
      toy.slope(toy.view.images, direction, 1e-5) / (found.images * direction).sum().item<double>(),
      1, 1e-5);
  const auto learned = toy.objective->learned();
  ASSERT_EQ(learned.size(), 2U);
  EXPECT_NEAR(toy.slope(learned[0].value, at::ones({1}, at::kDouble), 1e-6) /
                  found.learned[0].item<double>(),
              1, 1e-5);
  learned[1].value.add_(0.1);  // off the boundary of what labels may be
  const at::Tensor soft = toy.at_iteration(1).learned[1].clone();
  const at::Tensor uphill = soft / soft.norm();  // where the slope is steepest: labels are float32
  EXPECT_NEAR(toy.slope(learned[1].value, uphill, 1e-3) / (soft * uphill).sum().item<double>(), 1,
              1e-4);
}

TEST(Bptt, TakesClassesInTurnAndLeavesTheOthersAlone) {
  std::map<std::string, std::string> options = kBptt;
  options["classes_per_step"] = "2";
  Toy toy(make_bptt(), options);
  for (int64_t iteration = 0; iteration < 4; ++iteration) {
    const at::Tensor sizes = toy.at_iteration(iteration).images.abs().sum({1, 2, 3});
    int untouched = 0;
    for (size_t c = 0; c < 3; ++c)
      untouched +=
          sizes.slice(0, toy.view.offsets[c], toy.view.offsets[c + 1]).sum().item<double>() == 0;
    EXPECT_EQ(untouched, 1);
  }
}

TEST(Bptt, AWindowOfAllStepsIsTheWholeTraining) {
  std::map<std::string, std::string> options = kBptt;
  Toy whole(make_bptt(), options);
  options["window"] = "5";
  Toy same(make_bptt(), options);
  options["window"] = "2";
  Toy less(make_bptt(), options);
  const Cotangents a = whole.at_iteration(3), b = same.at_iteration(3), c = less.at_iteration(3);
  EXPECT_TRUE(a.images.equal(b.images));
  EXPECT_EQ(a.loss, c.loss);
  EXPECT_FALSE(a.images.equal(c.images));
  options["random_window"] = "yes";
  Toy random(make_bptt(), options);
  EXPECT_NE(random.at_iteration(3).loss, random.at_iteration(4).loss);
}

TEST(Bptt, RefusesClassesAndWindowsThatCannotBe) {
  tests::expect_error<ConfigError>(
      [&] {
        Toy(make_bptt(), {{"classes_per_step", "4"}});
      },
      {"--classes-per-step 4 of 3"});
  tests::expect_error<ConfigError>(
      [&] {
        Toy(make_bptt(), {{"random_window", "yes"}});
      },
      {"--window"});
}

TEST(Dd, LearnsTheRateOfEveryStep) {
  Toy toy(make_dd(), {{"inner_epochs", "2"}, {"real_batch", "9"}});
  toy.view.images = toy.view.images.to(at::kDouble);
  const Cotangents found = toy.at_iteration(1);
  const auto learned = toy.objective->learned();
  ASSERT_EQ(learned[0].value.numel(), 4);  // two minibatches, twice
  for (int64_t k = 0; k < 4; ++k) {
    const at::Tensor one = at::zeros({4}, at::kDouble);
    one[k] = 1;
    EXPECT_NEAR(toy.slope(learned[0].value, one, 1e-5) / found.learned[0][k].item<double>(), 1,
                1e-5);
  }
  synthetic::Bundle bundle;
  toy.objective->complete(bundle);
  EXPECT_NEAR(bundle.step_learning_rates[0].item<double>(), 0.02, 1e-12);
}

TEST(InOrder, TheIthMinibatchHasTheIthImageOfEveryClass) {
  EXPECT_EQ(train::ordered_batches({2, 1, 3}),
            (std::vector<std::vector<int64_t>>{{0, 2, 3}, {1, 4}, {5}}));
}

}  // namespace
}  // namespace retort::methods
