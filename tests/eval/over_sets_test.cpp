// Several sets as one figure: spreads worked out by hand.
#include "eval/over_sets.h"

#include <gtest/gtest.h>

#include <cmath>

namespace retort::eval {
namespace {

Json result_of(const std::string& subject, const std::vector<double>& accuracies) {
  double mean = 0;
  for (const double one : accuracies) mean += one / static_cast<double>(accuracies.size());
  return {{"subject", subject},
          {"network", "convnet"},
          {"accuracies", accuracies},
          {"mean", mean},
          {"balanced", mean},
          {"class_accuracies", {mean, nullptr}},
          {"confusion", {{3, 1}, {0, 4}}},
          {"averaged", Json::array()},
          {"best", Json::array()},
          {"seconds", 2.0}};
}

SetEvaluation set_of(const std::string& name, const std::vector<Json>& results) {
  return {name,
          {{"kind", "evaluation"}, {"students", 2}, {"date", "on " + name}, {"results", results}}};
}

TEST(OverSets, TellsTheSpreadOverSetsAndOverStudentsApart) {
  const Json all = over_sets(
      {set_of("seed-0", {result_of("distilled", {0.2, 0.4}), result_of("random", {0.1, 0.2})}),
       set_of("seed-1", {result_of("distilled", {0.5, 0.7})})});
  EXPECT_EQ(all.at("sets"), (Json{"seed-0", "seed-1"}));
  EXPECT_EQ(all.at("date"), "on seed-1");
  ASSERT_EQ(all.at("results").size(), 2U);
  const Json& set = all.at("results")[0];
  EXPECT_EQ(set.at("accuracies"), (Json{0.2, 0.4, 0.5, 0.7}));
  EXPECT_NEAR(set.at("mean").get<double>(), 0.45, 1e-12);
  // Means 0.3 and 0.6; within a set 0.1; all together 0.03250 / 1 by the law of total variance.
  EXPECT_NEAR(set.at("deviation_over_sets").get<double>(), 0.15, 1e-12);
  EXPECT_NEAR(set.at("deviation_over_students").get<double>(), 0.1, 1e-12);
  EXPECT_NEAR(set.at("deviation").get<double>(), std::sqrt(0.15 * 0.15 + 0.1 * 0.1), 1e-12);
  EXPECT_EQ(set.at("sets")[1].at("set"), "seed-1");
  EXPECT_NEAR(set.at("class_accuracies")[0].get<double>(), 0.45, 1e-12);
  EXPECT_TRUE(set.at("class_accuracies")[1].is_null());
  EXPECT_EQ(set.at("confusion"), (Json{{6, 2}, {0, 8}}));
  EXPECT_EQ(set.at("seconds"), 4.0);
}

TEST(OverSets, LeavesWhatOneSetAloneHasAsItWas) {
  const Json all = over_sets(
      {set_of("seed-0", {result_of("distilled", {0.2, 0.4}), result_of("random", {0.1, 0.2})}),
       set_of("seed-1", {result_of("distilled", {0.5, 0.7})})});
  const Json& random = all.at("results")[1];
  EXPECT_FALSE(random.contains("sets"));
  EXPECT_FALSE(random.contains("deviation_over_sets"));
  EXPECT_NEAR(random.at("mean").get<double>(), 0.15, 1e-12);
  EXPECT_NEAR(random.at("deviation").get<double>(), 0.05, 1e-12);
}

}  // namespace
}  // namespace retort::eval
