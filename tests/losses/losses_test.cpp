#include "retort/losses/losses.h"

#include <gtest/gtest.h>

#include <cmath>

namespace retort::losses {
namespace {

at::Tensor logits() {
  return at::tensor({0.0, std::log(3.0), std::log(2.0), 0.0}).view({2, 2});
}

void expect_values(const at::Tensor& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.numel(), static_cast<int64_t>(wanted.size()));
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(found.flatten()[static_cast<int64_t>(i)].item<double>(), wanted[i], 1e-12);
}

TEST(Losses, CrossEntropyOfClassesIsMinusTheLogProbability) {
  const at::Tensor classes = at::tensor({1, 1}, at::kLong);
  expect_values(row_losses(logits(), {classes}), {-std::log(0.75), -std::log(1.0 / 3)});
}

TEST(Losses, CrossEntropyOfWeightsAddsUp) {
  const at::Tensor weights = at::tensor({0.5, 0.5, 2.0, 0.0}).view({2, 2});
  expect_values(row_losses(logits(), {weights}),
                {-0.5 * std::log(0.25) - 0.5 * std::log(0.75), -2 * std::log(2.0 / 3)});
}

TEST(Losses, OneHotWeightsEqualClasses) {
  const at::Tensor one_hot = at::tensor({0.0, 1.0, 1.0, 0.0}).view({2, 2});
  const at::Tensor classes = at::tensor({1, 0}, at::kLong);
  EXPECT_TRUE(at::allclose(row_losses(logits(), {one_hot}), row_losses(logits(), {classes})));
}

TEST(Losses, DivergenceOfEqualLogitsIsZero) {
  expect_values(row_losses(logits(), {logits(), Kind::kKl, 3.0}), {0, 0});
}

TEST(Losses, DivergenceIsScaledByTheSquaredTemperature) {
  const double t = 2;
  const at::Tensor teacher = at::tensor({1.0, 0.0}).view({1, 2});
  const at::Tensor student = at::tensor({0.0, 0.0}).view({1, 2});
  const double p = std::exp(1 / t) / (std::exp(1 / t) + 1);
  const double wanted = t * t * (p * std::log(2 * p) + (1 - p) * std::log(2 * (1 - p)));
  expect_values(row_losses(student, {teacher, Kind::kKl, t}), {wanted});
}

TEST(Losses, DivergenceOfThreeClassesByHandWithAndWithoutTheSquare) {
  // At T = 2: p = (1, 2, 1) / 4 from logits 2 ln p, q uniform; KL = ln 3 - 3/2 ln 2.
  const double t = 2, kl = std::log(3.0) - 1.5 * std::log(2.0);
  const at::Tensor teacher = at::tensor({0.0, 2 * std::log(2.0), 0.0}).view({1, 3});
  const at::Tensor student = at::full({1, 3}, 0.7, at::kDouble);
  Targets targets{teacher, Kind::kKl, t};
  expect_values(row_losses(student, targets), {t * t * kl});
  targets.temperature_squared = false;
  expect_values(row_losses(student, targets), {kl});
}

TEST(Losses, SquaredErrorIsSummedOverClasses) {
  const at::Tensor targets = at::tensor({1.0, 0.0, 0.0, 2.0}).view({2, 2});
  const double l3 = std::log(3.0), l2 = std::log(2.0);
  expect_values(row_losses(logits(), {targets, Kind::kSquared}), {1 + l3 * l3, l2 * l2 + 4});
}

TEST(Losses, MeanIsOverAllRowsWithTheirWeights) {
  Targets targets{at::tensor({1, 1}, at::kLong)};
  targets.weights = at::tensor({2.0, 0.0});
  expect_values(mean_loss(logits(), targets), {-std::log(0.75)});
  targets.weights = at::Tensor();
  expect_values(mean_loss(logits(), targets), {(-std::log(0.75) - std::log(1.0 / 3)) / 2});
}

TEST(Losses, RefuseTargetsOfAnotherShape) {
  EXPECT_THROW(row_losses(logits(), {at::zeros({2, 3}, at::kDouble), Kind::kSquared}), c10::Error);
  EXPECT_THROW(row_losses(logits(), {at::zeros({3}, at::kLong)}), c10::Error);
}

}  // namespace
}  // namespace retort::losses
