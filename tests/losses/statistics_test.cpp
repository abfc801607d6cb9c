#include "losses/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/random.h"

namespace retort::losses {
namespace {

at::Tensor normals(at::IntArrayRef sizes, uint64_t seed) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  RandomStream(seed, "test").fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

Moments kept() {
  return {normals({3}, 8), normals({3}, 9).square() + 0.3};
}

const std::vector<StatisticsUnit> kUnits = {StatisticsUnit::kRaw, StatisticsUnit::kScaleFree};

TEST(Statistics, MomentsAreThoseThatBatchNormWouldKeep) {
  const at::Tensor x = normals({4, 3, 5, 6}, 1);
  at::Tensor mean = at::zeros({3}, at::kDouble), variance = at::ones({3}, at::kDouble);
  at::batch_norm(x, {}, {}, mean, variance, true, 1.0, 1e-5, false);
  const Moments found = moments(x);
  const double n = 4 * 5 * 6;
  EXPECT_TRUE(at::allclose(found.mean, mean, 0, 1e-12));
  EXPECT_TRUE(at::allclose(found.variance * (n / (n - 1)), variance, 0, 1e-12));
}

TEST(Statistics, IsTheSumOfTwoNorms) {
  // Channel 0 holds 0 and 2, channel 1 holds 1 and 1: means 1, 1 and variances 1, 0.
  const at::Tensor x = at::tensor({0.0, 1.0, 2.0, 1.0}).view({2, 2, 1, 1}).to(at::kDouble);
  const Moments zero{at::zeros({2}, at::kDouble), at::zeros({2}, at::kDouble)};
  EXPECT_NEAR(statistics_distance(moments(x), zero, StatisticsUnit::kRaw).value, 1 + std::sqrt(2.0),
              1e-9);
  const Moments kept{at::zeros({2}, at::kDouble), at::full({2}, 4 - 1e-5, at::kDouble)};
  // Variances: 3 / 4 and 1 of the unit; means: 1 / 2 each; over sqrt(2).
  const double wanted = (std::sqrt(9.0 / 16 + 1) + std::sqrt(0.5)) / std::sqrt(2.0);
  EXPECT_NEAR(statistics_distance(moments(x), kept, StatisticsUnit::kScaleFree).value, wanted,
              1e-4);
}

TEST(Statistics, OfTheBatchThatTheyWereTakenFromAreNoDistance) {
  const at::Tensor x = normals({4, 3, 5, 6}, 1);
  for (const StatisticsUnit unit : kUnits)
    EXPECT_LT(statistics_distance(moments(x), moments(x), unit).value, 1e-5);
}

TEST(Statistics, DerivativeIsThatOfFiniteDifferences) {
  const at::Tensor x = normals({2, 3, 2, 3}, 2), direction = normals({2, 3, 2, 3}, 3);
  for (const StatisticsUnit unit : kUnits) {
    const double step = 1e-6;
    const double above = statistics_distance(moments(x + step * direction), kept(), unit).value,
                 below = statistics_distance(moments(x - step * direction), kept(), unit).value;
    const Moments by = statistics_distance(moments(x), kept(), unit).derivative;
    // d mean / dx = 1 / n and d variance / dx = 2 (x - mean) / n, n values a channel.
    const auto wide = [](const at::Tensor& v) { return v.view({1, -1, 1, 1}); };
    const at::Tensor away = x - wide(moments(x).mean);
    const at::Tensor derivative =
        (wide(by.mean) + 2 * away * wide(by.variance)) / static_cast<double>(2 * 2 * 3);
    EXPECT_NEAR((derivative * direction).sum().item<double>(), (above - below) / (2 * step), 1e-7);
  }
}

TEST(Statistics, ScalingTheLayerBeforeChangesTheRawDistanceAlone) {
  const at::Tensor x = normals({4, 3, 5, 6}, 1);
  const double c = 3;
  Moments scaled = kept();
  scaled.mean = scaled.mean * c;
  scaled.variance = scaled.variance * (c * c);
  const double raw = statistics_distance(moments(x), kept(), StatisticsUnit::kRaw).value;
  EXPECT_GT(statistics_distance(moments(x * c), scaled, StatisticsUnit::kRaw).value, 2.9 * raw);
  EXPECT_NEAR(statistics_distance(moments(x * c), scaled, StatisticsUnit::kScaleFree).value,
              statistics_distance(moments(x), kept(), StatisticsUnit::kScaleFree).value, 1e-4);
}

}  // namespace
}  // namespace retort::losses
