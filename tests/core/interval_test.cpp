// Intervals of means, beside the tables of Student's distribution.
#include "core/interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace retort {
namespace {

TEST(Interval, OfThreeValuesIsThatOfTheTable) {
  // Mean 0.5, sample deviation 0.1: 4.303 * 0.1 / sqrt(3).
  const Interval found = interval_of({0.4, 0.5, 0.6});
  EXPECT_NEAR(found.mean, 0.5, 1e-12);
  EXPECT_NEAR(found.high - found.mean, 4.303 * 0.1 / std::sqrt(3), 1e-9);
  EXPECT_NEAR(found.mean - found.low, found.high - found.mean, 1e-12);
}

TEST(Interval, OfManyValuesFollowsTheExpansion) {
  // Twenty zeros and ones in turn: sample deviation sqrt(20 / 19 / 4), 19 degrees of
  // freedom, 2.093.
  std::vector<double> values;
  for (int i = 0; i < 20; ++i) values.push_back(i % 2);
  const double half = 2.093 * std::sqrt(20.0 / 19 / 4) / std::sqrt(20);
  EXPECT_NEAR(interval_of(values).high - 0.5, half, 2e-4);
}

TEST(Interval, OfOneValueIsNotKnown) {
  const Interval found = interval_of({0.3});
  EXPECT_EQ(found.mean, 0.3);
  EXPECT_TRUE(std::isnan(found.low) && std::isnan(found.high));
  EXPECT_EQ(interval_of({}).mean, 0);
}

}  // namespace
}  // namespace retort
