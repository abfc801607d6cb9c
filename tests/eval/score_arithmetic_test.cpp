// DD-Ranking's definitions and Spearman's correlation, worked out by hand.
#include "eval/score_arithmetic.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/rank_correlation.h"
#include "eval/search_space.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::eval {
namespace {

TEST(ScoreArithmetic, BringsTheRangeOfDifferencesToZeroToOne) {
  EXPECT_NEAR(normalised(-1), 0, 1e-12);
  EXPECT_NEAR(normalised(1), 1, 1e-12);
  EXPECT_NEAR(normalised(0), 0.268941421370, 1e-12);  // (1 - 1/e) / (e - 1/e)
}

TEST(ScoreArithmetic, FollowsTheDefinitionsOnNumbersWorkedByHand) {
  const ScoreInput input{0.8, 0.5, 0.6, 0.4, 0.45, 0.35};
  const RunScores scores = scores_of(input, 0.5, 0.5);
  EXPECT_NEAR(scores.hard_recovery, 0.3, 1e-12);
  EXPECT_NEAR(scores.improvement, 0.2, 1e-12);
  // a = 0.5 * 0.2 - 0.5 * 0.3 = -0.05; b = 0.5 * 0.2 + 0.5 * (0.45 - 0.35) = 0.15
  EXPECT_NEAR(scores.label_robust, 0.248191537961, 1e-10);
  EXPECT_NEAR(scores.augmentation_robust, 0.337795266824, 1e-10);
  // a = 0.8 * 0.2 - 0.2 * 0.3 = 0.1; b = 0.25 * 0.2 + 0.75 * 0.1 = 0.125
  const RunScores weighted = scores_of(input, 0.8, 0.25);
  EXPECT_NEAR(weighted.label_robust, normalised(0.1), 1e-12);
  EXPECT_NEAR(weighted.augmentation_robust, normalised(0.125), 1e-12);
}

TEST(RankCorrelation, HasMeanRanksOfEqualValues) {
  EXPECT_EQ(ranks({3, 1, 3, 2}), (std::vector<double>{3.5, 1, 3.5, 2}));
  // Ranks 1 2 3 4 5 and 1 2 3.5 5 3.5: covariance 8, variances 10 and 9.5.
  EXPECT_NEAR(spearman({1, 2, 3, 4, 5}, {5, 6, 7, 8, 7}), 8 / std::sqrt(95.0), 1e-12);
  EXPECT_NEAR(spearman({1, 2, 3}, {9, 4, 1}), -1, 1e-12);
  EXPECT_TRUE(std::isnan(spearman({1, 1, 1}, {1, 2, 3})));
}

TEST(RankCorrelation, LooksAtTheTopOfTheSecondAlone) {
  const std::vector<double> proxy{9, 8, 1, 2, 3}, whole{1, 2, 3, 4, 5};
  EXPECT_NEAR(correlate_top(proxy, whole, 3, 0).value, 1, 1e-12);
  EXPECT_EQ(correlate_top(proxy, whole, 3, 0).count, 3);
  EXPECT_LT(correlate(proxy, whole, 0).value, 0);
}

TEST(RankCorrelation, HasAnIntervalAroundIt) {
  std::vector<double> a, b;
  for (int i = 0; i < 60; ++i) {
    a.push_back(i);
    b.push_back(i + 15 * std::sin(7.0 * i));
  }
  const Correlation found = correlate(a, b, 1);
  EXPECT_LT(found.low, found.value);
  EXPECT_GT(found.high, found.value);
  EXPECT_GT(found.low, 0.6);
  EXPECT_EQ(correlate(a, b, 1).low, found.low);
}

TEST(SearchSpace, IsThePublishedGridUnlessNarrowed) {
  SearchSpace space;
  EXPECT_EQ(space.names().size(), 720u);
  EXPECT_EQ(space.names().front(), "convnet-d1-w32-nonorm-sigmoid-nopool");
  space.depths = {"2"};
  space.widths = {"8", "16"};
  space.norms = {"gn"};
  space.activations = {"relu"};
  space.poolings = {"avgpool"};
  EXPECT_EQ(space.names(), (std::vector<std::string>{"convnet-d2-w8-gn-relu-avgpool",
                                                     "convnet-d2-w16-gn-relu-avgpool"}));
  space.norms = {};
  EXPECT_THROW(space.names(), ConfigError);
}

TEST(SearchSpace, IsReadFromAFileOfNames) {
  const tests::TempFolder folder;
  tests::write_text(folder.path() / "names",
                    "convnet-d1-w4 lenet  # small ones\n\nconvnet-d1-w4\n");
  SearchSpace space;
  space.networks = (folder.path() / "names").string();
  EXPECT_EQ(space.names(), (std::vector<std::string>{"convnet-d1-w4", "lenet"}));
}

}  // namespace
}  // namespace retort::eval
