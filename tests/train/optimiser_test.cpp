// Optimisers and schedules against values computed by hand.
#include "train/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::train {
namespace {

at::Tensor one_number(double value) {
  return at::full({1}, value, at::kDouble);
}

TEST(Optimiser, SgdFollowsPyTorchsRule) {
  TrainOptions options;
  options.momentum = 0.5;
  options.weight_decay = 0.1;
  const auto sgd = make_optimiser(options);
  at::Tensor theta = one_number(1);
  sgd->step(theta, one_number(2), 0.1);  // v = 2 + 0.1
  EXPECT_NEAR(theta.item<double>(), 0.79, 1e-12);
  sgd->step(theta, one_number(1), 0.1);  // v = 0.5 * 2.1 + 1 + 0.079
  EXPECT_NEAR(theta.item<double>(), 0.5771, 1e-12);
  sgd->reset();
  sgd->step(theta, one_number(1), 0.1);  // v = 1 + 0.05771 again
  EXPECT_NEAR(theta.item<double>(), 0.471329, 1e-12);
}

TEST(Optimiser, SgdLeavesTheGradientAsItIs) {
  TrainOptions options;
  options.weight_decay = 0;
  const auto sgd = make_optimiser(options);
  at::Tensor theta = one_number(1);
  const at::Tensor gradient = one_number(2);
  sgd->step(theta, gradient, 0.1);
  sgd->step(theta, gradient, 0.1);
  EXPECT_EQ(gradient.item<double>(), 2);
}

TEST(Optimiser, AdamWDecaysApartFromTheGradient) {
  TrainOptions options;
  options.optimiser = "adamw";
  options.weight_decay = 0.5;
  const auto adamw = make_optimiser(options);
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

TEST(Optimiser, WeightsAloneDecayWhereThatIsAskedFor) {
  TrainOptions options;
  options.weight_decay = 0.5;
  for (const char* name : {"adamw", "sgd"}) {
    options.optimiser = name;
    at::Tensor theta = at::ones({2}, at::kDouble);
    const auto optimiser = make_optimiser(options, at::tensor({1.0, 0.0}, at::kDouble));
    optimiser->step(theta, at::zeros({2}, at::kDouble), 0.1);
    EXPECT_NEAR(theta[0].item<double>(), 0.95, 1e-12);
    EXPECT_EQ(theta[1].item<double>(), 1);
  }
}

TEST(Optimiser, ASlowCosineEndsAtHalfTheRate) {
  TrainOptions options;
  options.schedule = "slow_cosine";
  options.epochs = 10;
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0.01);
  EXPECT_NEAR(learning_rate_at(options, 5), 0.005 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 10), 0.005, 1e-12);
  options.schedule_epochs = 20;
  EXPECT_NEAR(learning_rate_at(options, 10), 0.005 * (1 + std::sqrt(0.5)), 1e-12);
}

TEST(Optimiser, RefusesUnknownNames) {
  TrainOptions options;
  options.optimiser = "sdg";
  tests::expect_error<ConfigError>([&] { make_optimiser(options); }, {"sdg", "sgd", "adamw"});
}

TEST(Schedule, DropsOnceAfterHalfAndMakesOnePassMore) {
  TrainOptions options;
  options.epochs = 1000;
  EXPECT_EQ(passes(options), 1001);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0.01);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 501), 0.01);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 502), 0.001);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 1000), 0.001);
  EXPECT_FALSE(resets_before(options, 501));
  EXPECT_TRUE(resets_before(options, 502));
  EXPECT_FALSE(resets_before(options, 503));
}

TEST(Schedule, CosineFallsToZeroOnceAnEpoch) {
  TrainOptions options;
  options.schedule = "cosine";
  options.epochs = 10;
  EXPECT_EQ(passes(options), 10);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0.01);
  EXPECT_NEAR(learning_rate_at(options, 5), 0.005, 1e-12);
  EXPECT_GT(learning_rate_at(options, 9), 0);
  EXPECT_FALSE(resets_before(options, 7));
}

TEST(Schedule, CosineWarmsUpByEpochAsTorchvisionsTrainingDoes) {
  TrainOptions options;
  options.schedule = "cosine";
  options.learning_rate = 0.2;
  options.epochs = 8;
  options.warmup_epochs = 5;
  // LinearLR from 0.01 over 5 epochs, then CosineAnnealingLR over 3: PyTorch 1.13's SequentialLR.
  const double rates[] = {0.002, 0.0416, 0.0812, 0.1208, 0.1604, 0.2, 0.15, 0.05};
  for (int64_t epoch = 0; epoch < 8; ++epoch)
    EXPECT_NEAR(learning_rate_at(options, epoch, 3, 4), rates[epoch], 1e-12);
}

TEST(Schedule, ConstantStays) {
  TrainOptions options;
  options.schedule = "constant";
  options.epochs = 10;
  EXPECT_EQ(passes(options), 10);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 9), 0.01);
}

TEST(Schedule, WarmupCosineRisesFromZeroAndFallsToOnePercent) {
  TrainOptions options;
  options.schedule = "warmup_cosine";
  options.epochs = 1000;
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0);
  EXPECT_NEAR(learning_rate_at(options, 250), 0.005, 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 500), 0.01, 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 750), 0.01 * (0.01 + 0.99 / 2), 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 100, 5, 10), 0.01 * (0.01 + 0.99 * 0.99304390), 1e-8);
  options.epochs = 10;  // shorter than its warm-up: half of it
  EXPECT_NEAR(learning_rate_at(options, 1), 0.002, 1e-12);
}

TEST(Schedule, RefusesUnknownNames) {
  TrainOptions options;
  options.schedule = "cosin";
  tests::expect_error<ConfigError>([&] { learning_rate_at(options, 0); }, {"cosin", "cosine"});
}

}  // namespace
}  // namespace retort::train
