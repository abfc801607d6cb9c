// How the loop moves what it is given, what a checkpoint ties a run to, and what a run that
// diverges is stopped with.
#include "methods/outer_loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "methods/rate_options.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::methods {
namespace {

/// Learns one tensor beside the images; its loss and gradients are as given.
class Given : public Objective {
 public:
  Given(std::string name, std::string rate_option, double loss, double gradient)
      : learned_{{.name = std::move(name),
                  .value = at::zeros({2}),
                  .rate_option = std::move(rate_option)}},
        loss_(loss),
        gradient_(gradient) {}
  void begin(int64_t, const SyntheticSet&) override {}
  Cotangents evaluate(const SyntheticSet& view, int64_t) override {
    return {loss_, at::zeros_like(view.images), {at::full({2}, gradient_)}};
  }
  std::vector<synthetic::ParameterGroup> learned() override { return learned_; }

 private:
  std::vector<synthetic::ParameterGroup> learned_;
  double loss_, gradient_;
};

/// x y - y^2 / 2 of pixels x and a tensor y as large as they are, which is learned as it says; the
/// largest over y is x^2 / 2, the least over x of that is 0.
class Saddle : public Objective {
 public:
  Saddle(synthetic::ParameterGroup group, std::string identity = {})
      : group_(std::move(group)), identity_(std::move(identity)) {}
  void begin(int64_t iteration, const SyntheticSet& set) override {
    begun_.push_back(iteration);
    at_begin_ = set.images.clone();
  }
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override {
    asked_.push_back(step);
    EXPECT_EQ(set.images.equal(at_begin_), step == 0);
    const at::Tensor& x = set.images;
    const at::Tensor y = group_.value.view(x.sizes());
    return {(x * y - y * y / 2).sum().item<double>(), y.clone(), {(x - y).flatten()}};
  }
  int64_t steps() const override { return 2; }
  std::string identity() const override { return identity_; }
  std::vector<synthetic::ParameterGroup> learned() override { return {group_}; }

  std::vector<int64_t> begun_, asked_;

 private:
  synthetic::ParameterGroup group_;
  std::string identity_;
  at::Tensor at_begin_;
};

/// A loop over two pixels of the given value; images by SGD at 0.1 with momentum 0.5.
struct Loop {
  DistillOptions options;
  std::unique_ptr<OuterLoop> outer;

  explicit Loop(std::unique_ptr<Objective> objective, double pixel = 1) {
    options.iterations = 10;
    options.image_learning_rate = 0.1;
    auto set = synthetic::parametrisation_table().front().make()->make({{{1, 1}, 1, 1, 1}});
    set->initialise(at::full({2, 1, 1, 1}, pixel));
    outer = std::make_unique<OuterLoop>(options, std::move(set), std::move(objective));
  }
  Loop(const Loop&) = delete;
  OuterLoop* operator->() const { return outer.get(); }
};

void expect_stopped(const std::string& learned, const std::string& rate_option, double loss,
                    double gradient, const std::vector<std::string>& parts) {
  SCOPED_TRACE(learned);
  DistillOptions options;
  synthetic::SetLayout layout{{1, 1}, 1, 2, 2};
  auto set = synthetic::parametrisation_table().front().make()->make({layout});
  set->initialise(at::zeros({2, 1, 2, 2}));
  OuterLoop outer(options, std::move(set),
                  std::make_unique<Given>(learned, rate_option, loss, gradient));
  tests::expect_error<StateError>([&] { outer.step(7); }, parts);
}

constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST(Divergence, OfWhatIsLearnedNamesItsOwnRate) {
  const std::string kept = "choose another --out; the checkpoint of the iterations before is kept";
  expect_stopped(
      "student_learning_rate", kStudentRateOptions, 1, kInfinite,
      {"distilling, iteration 7", "student_learning_rate became infinite",
       "lower --student-rate-learning-rate (or --student-learning-rate, where it starts) "
       "and " +
           kept});
  expect_stopped("step_learning_rates", kStudentRateOptions, 1, kInfinite,
                 {"step_learning_rates became infinite", "lower --student-rate-learning-rate"});
  expect_stopped("label_logits", kLabelRateOption, 1, kInfinite,
                 {"label_logits became infinite", "lower --label-learning-rate and " + kept});
}

TEST(Divergence, OfALossNamesAllRatesThatItDependsOn) {
  expect_stopped("label_logits", kLabelRateOption, kInfinite, 0,
                 {"the loss became inf",
                  "lower --image-learning-rate or --label-learning-rate and choose another --out"});
  expect_stopped(
      "student_learning_rate", kStudentRateOptions, -kInfinite, 0,
      {"the loss became -inf", "lower --image-learning-rate or --student-rate-learning-rate"});
}

TEST(OuterLoop, WhatIsLearnedHasItsOwnRateOptimizerScheduleAndDirection) {
  at::Tensor y = at::full({2}, 0.25);
  auto owned = std::make_unique<Saddle>(
      synthetic::ParameterGroup{.name = "hard",
                                .value = y,
                                .learning_rate = 0.5,
                                .momentum = 0.25,
                                .optimizer = "adam",
                                .schedule = "cosine",
                                .direction = synthetic::Direction::kAscent});
  Saddle& objective = *owned;
  const Loop outer(std::move(owned));
  // By hand: x by SGD with momentum at the constant image rate; y by Adam, upwards, at a falling
  // rate.
  double x = 1, v = 0, h = 0.25, first = 0, second = 0;
  int count = 0;
  for (int64_t iteration = 0; iteration < 3; ++iteration) {
    double loss = 0;
    for (int step = 0; step < 2; ++step) {
      loss = 2 * (x * h - h * h / 2);
      const double by_x = h, by_y = x - h;
      v = 0.5 * v + by_x;
      x -= 0.1 * v;
      ++count;
      first = 0.25 * first + 0.75 * by_y;
      second = 0.999 * second + 0.001 * by_y * by_y;
      const double rate = 0.5 * (1 + std::cos(M_PI * static_cast<double>(iteration) / 10)) / 2;
      h += rate * (first / (1 - std::pow(0.25, count))) /
           (std::sqrt(second / (1 - std::pow(0.999, count))) + 1e-8);
    }
    EXPECT_NEAR(outer->step(iteration), loss, 1e-5);
    EXPECT_NEAR(outer->result().images[1].item<double>(), x, 1e-5);
    EXPECT_NEAR(y[1].item<double>(), h, 1e-5);
  }
  EXPECT_EQ(objective.begun_, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(objective.asked_, (std::vector<int64_t>{0, 1, 0, 1, 0, 1}));
}

TEST(OuterLoop, AnAscentClimbsWhereADescentFalls) {
  at::Tensor up = at::full({2}, 0.25), down = at::full({2}, 0.25);
  const Loop climbing(std::make_unique<Saddle>(synthetic::ParameterGroup{
      .name = "y", .value = up, .direction = synthetic::Direction::kAscent}));
  const Loop falling(
      std::make_unique<Saddle>(synthetic::ParameterGroup{.name = "y", .value = down}));
  climbing->step(0);
  falling->step(0);
  EXPECT_GT(up[0].item<double>(), 0.25);  // towards x = 1, where the loss is largest
  EXPECT_LT(down[0].item<double>(), 0.25);
}

TEST(OuterLoop, GoesOnWithTheSameExternalInputsAloneAndNamesBoth) {
  const tests::TempFolder folder;
  const auto objective = [](const std::string& identity) {
    return std::make_unique<Saddle>(synthetic::ParameterGroup{.name = "y", .value = at::zeros({2})},
                                    identity);
  };
  Loop(objective("teacher 1234"), 3)->save(folder / "teacher", 4, "data");
  Loop(objective(""), 3)->save(folder / "none", 4, "data");
  const Loop same(objective("teacher 1234")), none(objective("")), other(objective("teacher 5678"));
  EXPECT_EQ(same->load(folder / "teacher", "data").iteration, 4);
  EXPECT_EQ(same->result().images[0].item<double>(), 3);
  EXPECT_EQ(none->load(folder / "none", "data").iteration, 4);
  tests::expect_error<StateError>(
      [&] { other->load(folder / "teacher", "data"); },
      {"going on from", "it was begun with the teacher 1234 and is now given the teacher 5678",
       "give the one that it was begun with, or choose another --out"});
  EXPECT_EQ(other->result().images[0].item<double>(), 1);  // nothing of it was taken
  tests::expect_error<StateError>([&] { other->load(folder / "none", "data"); },
                                  {"begun with nothing beside the data"});
  tests::expect_error<StateError>([&] { none->load(folder / "teacher", "data"); },
                                  {"is now given nothing beside the data"});
}

}  // namespace
}  // namespace retort::methods
