// The outer optimisers against steps worked by hand.
#include "methods/descent.h"

#include <gtest/gtest.h>

namespace retort::methods {
namespace {

at::Tensor numbers(std::vector<double> values) {
  return at::tensor(values, at::kDouble);
}

TEST(Descent, SgdKeepsAVelocity) {
  const at::Tensor value = numbers({1});
  Descent sgd("sgd", value);
  sgd.step(numbers({2}), 0.1, 0.5);
  sgd.step(numbers({4}), 0.1, 0.5);
  EXPECT_DOUBLE_EQ(value.item<double>(), 1 - 0.1 * 2 - 0.1 * (0.5 * 2 + 4));
}

// The first step is the sign of the gradient; in the second m = .5 * 1 + .5 * 4 over 1 - .25, and
// s = (.999 * 4 + 16) / 1000 over 1 - .999^2.
TEST(Descent, AdamCorrectsItsBias) {
  const at::Tensor value = numbers({1});
  Descent adam("adam", value);
  adam.step(numbers({2}), 0.1, 0.5);
  EXPECT_NEAR(value.item<double>(), 0.9, 1e-8);
  adam.step(numbers({4}), 0.1, 0.5);
  const double move = (2.5 / 0.75) / std::sqrt(0.019996 / 0.001999);
  EXPECT_NEAR(value.item<double>(), 0.9 - 0.1 * move, 1e-8);
}

TEST(Descent, LambMovesByTheNormOfTheTensor) {
  const at::Tensor value = numbers({3, 4});
  Descent lamb("lamb", value);
  lamb.step(numbers({1, -7}), 0.1, 0.9);
  const double each = 0.1 * 5 / std::sqrt(2.0);
  EXPECT_NEAR(value[0].item<double>(), 3 - each, 1e-5);
  EXPECT_NEAR(value[1].item<double>(), 4 + each, 1e-5);
}

TEST(Schedule, EndsAtATenthOrHalvesTenTimes) {
  EXPECT_EQ(schedule_factor("constant", 7, 10), 1);
  EXPECT_EQ(schedule_factor("cosine", 0, 10), 1);
  EXPECT_NEAR(schedule_factor("cosine", 5, 10), 0.55, 1e-12);
  EXPECT_NEAR(schedule_factor("cosine", 10, 10), 0.1, 1e-12);
  EXPECT_EQ(schedule_factor("cosine_to_zero", 0, 10), 1);
  EXPECT_NEAR(schedule_factor("cosine_to_zero", 5, 10), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor("cosine_to_zero", 9, 10), (1 + std::cos(0.9 * M_PI)) / 2, 1e-12);
  EXPECT_EQ(schedule_factor("halving", 39, 400), 1);
  EXPECT_EQ(schedule_factor("halving", 40, 400), 0.5);
  EXPECT_EQ(schedule_factor("halving", 399, 400), std::pow(0.5, 9));
}

}  // namespace
}  // namespace retort::methods
