// Optimizers against steps worked by hand, and against their formulas written out.
#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::optim {
namespace {

at::Tensor numbers(std::vector<double> values) {
  return at::tensor(values, at::kDouble);
}

at::Tensor one_number(double value) {
  return numbers({value});
}

std::unique_ptr<Optimizer> made(const char* name, double momentum, double decay = 0,
                                const at::Tensor& decaying = {}) {
  return make_optimizer(
      {.name = name, .momentum = momentum, .weight_decay = decay, .decaying = decaying},
      decaying.defined() ? decaying : one_number(0));
}

constexpr double kBeta1 = 0.6, kBeta2 = 0.9, kDecay = 0.3, kRate = 0.2;
const std::vector<double> kGradients = {2, -1, 0.5, 3};

/// Where `name` takes 1.5 along those gradients, with all constants other than their defaults.
double end_of(const char* name) {
  const at::Tensor value = one_number(1.5);
  const bool decays = std::string(name) == "sgd" || std::string(name) == "adamw";
  const auto one = make_optimizer(
      {.name = name, .momentum = kBeta1, .beta2 = kBeta2, .weight_decay = decays ? kDecay : 0},
      value);
  for (const double gradient : kGradients) one->step(value, one_number(gradient), kRate);
  return value.item<double>();
}

/// Adam's direction of the t-th of those gradients, from 1 on.
double adam_direction(size_t t, double epsilon) {
  double m = 0, v = 0;
  for (size_t i = 0; i < t; ++i) {
    m = kBeta1 * m + (1 - kBeta1) * kGradients[i];
    v = kBeta2 * v + (1 - kBeta2) * kGradients[i] * kGradients[i];
  }
  const double corrected = m / (1 - std::pow(kBeta1, t));
  return corrected / (std::sqrt(v / (1 - std::pow(kBeta2, t))) + epsilon);
}

TEST(Optimizer, SgdFollowsItsFormula) {
  double x = 1.5, v = 0;
  for (const double g : kGradients) {
    v = kBeta1 * v + (g + kDecay * x);
    x -= kRate * v;
  }
  EXPECT_NEAR(end_of("sgd"), x, 1e-12);
}

TEST(Optimizer, AdamFollowsItsFormula) {
  double x = 1.5;
  for (size_t t = 1; t <= kGradients.size(); ++t) x -= kRate * adam_direction(t, 1e-8);
  EXPECT_NEAR(end_of("adam"), x, 1e-12);
}

TEST(Optimizer, AdamWFollowsItsFormula) {
  double x = 1.5;
  for (size_t t = 1; t <= kGradients.size(); ++t)
    x = (1 - kRate * kDecay) * x - kRate * adam_direction(t, 1e-8);
  EXPECT_NEAR(end_of("adamw"), x, 1e-12);
}

// Of one number, lamb's step is the rate times the number's size.
TEST(Optimizer, LambFollowsItsFormula) {
  double x = 1.5;
  for (size_t t = 1; t <= kGradients.size(); ++t) {
    const double direction = adam_direction(t, 1e-6);
    x -= kRate * std::abs(x) / std::abs(direction) * direction;
  }
  EXPECT_NEAR(end_of("lamb"), x, 1e-12);
}

TEST(Optimizer, SgdKeepsAVelocity) {
  const at::Tensor value = numbers({1});
  const auto sgd = made("sgd", 0.5);
  sgd->step(value, numbers({2}), 0.1);
  sgd->step(value, numbers({4}), 0.1);
  EXPECT_DOUBLE_EQ(value.item<double>(), 1 - 0.1 * 2 - 0.1 * (0.5 * 2 + 4));
}

TEST(Optimizer, SgdFollowsPyTorchsRule) {
  const auto sgd = made("sgd", 0.5, 0.1);
  const at::Tensor theta = one_number(1);
  sgd->step(theta, one_number(2), 0.1);  // v = 2 + 0.1
  EXPECT_NEAR(theta.item<double>(), 0.79, 1e-12);
  sgd->step(theta, one_number(1), 0.1);  // v = 0.5 * 2.1 + 1 + 0.079
  EXPECT_NEAR(theta.item<double>(), 0.5771, 1e-12);
  sgd->reset();
  sgd->step(theta, one_number(1), 0.1);  // v = 1 + 0.05771 again
  EXPECT_NEAR(theta.item<double>(), 0.471329, 1e-12);
}

TEST(Optimizer, SgdLeavesTheGradientAsItIs) {
  const auto sgd = made("sgd", 0.9);
  const at::Tensor theta = one_number(1), gradient = one_number(2);
  sgd->step(theta, gradient, 0.1);
  sgd->step(theta, gradient, 0.1);
  EXPECT_EQ(gradient.item<double>(), 2);
}

TEST(Optimizer, SgdsLateDecayIsTheSameRule) {
  const at::Tensor early = one_number(1), late = one_number(1);
  const auto a = made("sgd", 0.5, 0.1);
  const auto b = make_optimizer(
      {.name = "sgd", .momentum = 0.5, .weight_decay = 0.1, .late_decay = true}, late);
  for (const double gradient : kGradients) {
    a->step(early, one_number(gradient), 0.1);
    b->step(late, one_number(gradient), 0.1);
  }
  EXPECT_NEAR(early.item<double>(), late.item<double>(), 1e-12);
}

// The first step is the sign of the gradient; in the second m = .5 * 1 + .5 * 4 over 1 - .25, and
// s = (.999 * 4 + 16) / 1000 over 1 - .999^2.
TEST(Optimizer, AdamCorrectsItsBias) {
  const at::Tensor value = numbers({1});
  const auto adam = made("adam", 0.5);
  adam->step(value, numbers({2}), 0.1);
  EXPECT_NEAR(value.item<double>(), 0.9, 1e-8);
  adam->step(value, numbers({4}), 0.1);
  const double move = (2.5 / 0.75) / std::sqrt(0.019996 / 0.001999);
  EXPECT_NEAR(value.item<double>(), 0.9 - 0.1 * move, 1e-8);
}

TEST(Optimizer, AdamWDecaysApartFromTheGradient) {
  const auto adamw = made("adamw", 0.9, 0.5);
  at::Tensor theta = one_number(1);
  adamw->step(theta, one_number(2), 0.1);  // 1 * 0.95 - 0.1 * 2 / 2
  EXPECT_NEAR(theta.item<double>(), 0.85, 1e-8);
  // m = 0.08 / 0.19, v = 0.004996 / 0.001999: 0.85 * 0.95 - 0.1 * 0.42105263 / 1.58090152
  adamw->step(theta, one_number(-1), 0.1);
  EXPECT_NEAR(theta.item<double>(), 0.7808663, 1e-6);
  adamw->reset();
  theta = one_number(1);
  adamw->step(theta, one_number(2), 0.1);
  EXPECT_NEAR(theta.item<double>(), 0.85, 1e-8);
}

TEST(Optimizer, LambMovesByTheNormOfTheTensor) {
  const at::Tensor value = numbers({3, 4});
  const auto lamb = make_optimizer({.name = "lamb", .momentum = 0.9}, value);
  lamb->step(value, numbers({1, -7}), 0.1);
  const double each = 0.1 * 5 / std::sqrt(2.0);
  EXPECT_NEAR(value[0].item<double>(), 3 - each, 1e-5);
  EXPECT_NEAR(value[1].item<double>(), 4 + each, 1e-5);
}

TEST(Optimizer, WeightsAloneDecayWhereThatIsAskedFor) {
  for (const char* name : {"adamw", "sgd"}) {
    const at::Tensor theta = at::ones({2}, at::kDouble);
    const auto optimizer = made(name, 0.9, 0.5, numbers({1, 0}));
    optimizer->step(theta, at::zeros({2}, at::kDouble), 0.1);
    EXPECT_NEAR(theta[0].item<double>(), 0.95, 1e-12);
    EXPECT_EQ(theta[1].item<double>(), 1);
  }
}

TEST(Optimizer, GoesOnFromItsState) {
  for (const OptimizerEntry& entry : optimizer_table()) {
    const at::Tensor straight = one_number(1.5);
    const auto one = entry.make({}, straight);
    one->step(straight, one_number(2), 0.1);
    const at::Tensor resumed = straight.clone();
    const auto another = entry.make({}, resumed);
    for (const auto& [name, tensor] : one->state()) another->state().at(name).copy_(tensor);
    one->step(straight, one_number(-1), 0.1);
    another->step(resumed, one_number(-1), 0.1);
    EXPECT_TRUE(straight.equal(resumed)) << entry.name;
  }
}

TEST(Optimizer, PlainDescentSubtracts) {
  const at::Tensor value = one_number(1);
  const auto plain = make_plain_descent();
  plain->step(value, one_number(2), 0.1);
  plain->step(value, one_number(4), 0.1);
  EXPECT_NEAR(value.item<double>(), 0.4, 1e-12);
  EXPECT_TRUE(plain->state().empty());
}

TEST(Optimizer, RefusesUnknownNamesAndDecaysThatItLacks) {
  const at::Tensor value = one_number(1);
  tests::expect_error<ConfigError>([&] { make_optimizer({.name = "sdg"}, value); },
                                   {"sdg", "sgd", "adamw"});
  for (const char* name : {"adam", "lamb"})
    tests::expect_error<ConfigError>(
        [&] { make_optimizer({.name = name, .weight_decay = 0.1}, value); },
        {name, "0.1", "adamw"});
}

}  // namespace
}  // namespace retort::optim
