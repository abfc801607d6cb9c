// Schedules against values computed by hand.
#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::optim {
namespace {

double factor(const char* name, double step, double total) {
  return Schedule(name).factor(step, total);
}

TEST(Schedule, EachBeginsAtOne) {
  for (const ScheduleEntry& entry : schedule_table())
    EXPECT_EQ(Schedule(entry.name).factor(0, 100), 1) << entry.name;
}

TEST(Schedule, ConstantStays) {
  EXPECT_EQ(factor("constant", 7, 10), 1);
}

TEST(Schedule, CosinesEndWhereTheirNamesSay) {
  EXPECT_NEAR(factor("cosine", 5, 10), 0.5, 1e-12);
  EXPECT_NEAR(factor("cosine", 9, 10), (1 + std::cos(0.9 * M_PI)) / 2, 1e-12);
  EXPECT_NEAR(factor("cosine", 10, 10), 0, 1e-12);
  EXPECT_NEAR(factor("cosine_to_tenth", 5, 10), 0.55, 1e-12);
  EXPECT_NEAR(factor("cosine_to_tenth", 10, 10), 0.1, 1e-12);
  EXPECT_NEAR(factor("cosine_to_hundredth", 5, 10), 0.505, 1e-12);
  EXPECT_NEAR(factor("cosine_to_hundredth", 10, 10), 0.01, 1e-12);
  EXPECT_NEAR(factor("slow_cosine", 5, 10), (1 + std::sqrt(0.5)) / 2, 1e-12);
  EXPECT_NEAR(factor("slow_cosine", 10, 10), 0.5, 1e-12);
}

TEST(Schedule, LinearFallsToNothing) {
  EXPECT_NEAR(factor("linear", 3, 10), 0.7, 1e-12);
  EXPECT_EQ(factor("linear", 10, 10), 0);
}

TEST(Schedule, HalvingHalvesTenTimes) {
  EXPECT_EQ(factor("halving", 39, 400), 1);
  EXPECT_EQ(factor("halving", 40, 400), 0.5);
  EXPECT_EQ(factor("halving", 399, 400), std::pow(0.5, 9));
}

TEST(Schedule, FifthsHalveFourTimes) {
  EXPECT_EQ(factor("fifths", 399, 2000), 1);
  EXPECT_EQ(factor("fifths", 400, 2000), 0.5);
  EXPECT_EQ(factor("fifths", 1999, 2000), 0.0625);
}

TEST(Schedule, TwoDropsAreAtTwoThirdsAndFiveSixths) {
  EXPECT_EQ(factor("two_drops", 39, 60), 1);
  EXPECT_EQ(factor("two_drops", 40, 60), 0.2);
  EXPECT_EQ(factor("two_drops", 49, 60), 0.2);
  EXPECT_NEAR(factor("two_drops", 50, 60), 0.04, 1e-15);
  EXPECT_EQ(factor("two_drops", 6, 10), 0.2);  // 20 / 3 rounded down
}

TEST(Schedule, LateHalvingsAreThree) {
  EXPECT_EQ(factor("late_halvings", 1199, 2000), 1);
  EXPECT_EQ(factor("late_halvings", 1200, 2000), 0.5);
  EXPECT_EQ(factor("late_halvings", 1600, 2000), 0.25);
  EXPECT_EQ(factor("late_halvings", 1999, 2000), 0.125);
}

TEST(Schedule, DropsOnceAfterHalf) {
  EXPECT_EQ(factor("drop", 501, 1000), 1);
  EXPECT_EQ(factor("drop", 502, 1000), 0.1);
  EXPECT_EQ(factor("drop", 1000, 1000), 0.1);
  EXPECT_EQ(factor("drop", 4, 7), 1);  // 7 / 2 + 1 = 4
  EXPECT_EQ(factor("drop", 5, 7), 0.1);
}

TEST(Schedule, WarmsUpInAStraightLine) {
  const Schedule from_zero("cosine_to_hundredth", {.steps = 500, .from = 0});
  EXPECT_EQ(from_zero.factor(0, 1000), 0);
  EXPECT_NEAR(from_zero.factor(250, 1000), 0.5, 1e-12);
  EXPECT_EQ(from_zero.factor(500, 1000), 1);
  EXPECT_NEAR(from_zero.factor(750, 1000), 0.01 + 0.99 / 2, 1e-12);
  const Schedule from_a_hundredth("cosine", {.steps = 5});
  EXPECT_NEAR(from_a_hundredth.factor(0, 8), 0.01, 1e-12);
  EXPECT_NEAR(from_a_hundredth.factor(4, 8), 0.802, 1e-12);
  EXPECT_NEAR(from_a_hundredth.factor(6, 8), 0.75, 1e-12);
  EXPECT_NEAR(from_a_hundredth.factor(4, 4), 0.802, 1e-12);  // a run shorter than its warm-up
}

TEST(Schedule, RefusesUnknownNames) {
  tests::expect_error<ConfigError>([] { Schedule("cosin"); }, {"cosin", "cosine"});
  tests::expect_error<ConfigError>([] { Schedule("cosine_to_zero"); }, {"did you mean 'cosine'?"});
}

}  // namespace
}  // namespace retort::optim
