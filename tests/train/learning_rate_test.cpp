// Rates of trainings against values computed by hand.
#include "train/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::train {
namespace {

TEST(LearningRate, DropsOnceAfterHalfAndMakesOnePassMore) {
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

TEST(LearningRate, CosineFallsToZeroOnceAnEpoch) {
  TrainOptions options;
  options.schedule = "cosine";
  options.epochs = 10;
  EXPECT_EQ(passes(options), 10);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0.01);
  EXPECT_NEAR(learning_rate_at(options, 5), 0.005, 1e-12);
  EXPECT_GT(learning_rate_at(options, 9), 0);
  EXPECT_FALSE(resets_before(options, 7));
}

TEST(LearningRate, CosineWarmsUpByEpochAsTorchvisionsTrainingDoes) {
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

TEST(LearningRate, ASlowCosineEndsAtHalfTheRate) {
  TrainOptions options;
  options.schedule = "slow_cosine";
  options.epochs = 10;
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0.01);
  EXPECT_NEAR(learning_rate_at(options, 5), 0.005 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 10), 0.005, 1e-12);
  options.schedule_epochs = 20;
  EXPECT_NEAR(learning_rate_at(options, 10), 0.005 * (1 + std::sqrt(0.5)), 1e-12);
}

TEST(LearningRate, ConstantStays) {
  TrainOptions options;
  options.schedule = "constant";
  options.epochs = 10;
  EXPECT_EQ(passes(options), 10);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 9), 0.01);
}

TEST(LearningRate, CosineByStepsRisesFromZeroAndFallsToOnePercent) {
  TrainOptions options;
  options.schedule = "cosine_to_hundredth";
  options.warmup_steps = 500;
  options.epochs = 1000;
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0), 0);
  EXPECT_NEAR(learning_rate_at(options, 250), 0.005, 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 500), 0.01, 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 750), 0.01 * (0.01 + 0.99 / 2), 1e-12);
  EXPECT_NEAR(learning_rate_at(options, 100, 5, 10), 0.01 * (0.01 + 0.99 * 0.99304390), 1e-8);
  options.epochs = 10;  // shorter than its warm-up: half of it
  EXPECT_NEAR(learning_rate_at(options, 1), 0.002, 1e-12);
}

TEST(LearningRate, RefusesUnknownNames) {
  TrainOptions options;
  options.schedule = "cosin";
  tests::expect_error<ConfigError>([&] { learning_rate_at(options, 0); }, {"cosin", "cosine"});
}

}  // namespace
}  // namespace retort::train
