#include "report/chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/axis.h"

namespace retort::report {
namespace {

using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Axis, StepsAreOneTwoOrFiveTimesPowersOfTen) {
  EXPECT_EQ(nice_step(10, 5), 2);
  EXPECT_EQ(nice_step(10, 10), 1);
  EXPECT_EQ(nice_step(11, 5), 5);
  EXPECT_EQ(nice_step(1, 5), 0.2);
  EXPECT_EQ(nice_step(0.03, 6), 0.005);
  EXPECT_EQ(nice_step(4321, 5), 1000);
}

TEST(Axis, TicksAreMultiplesOfTheStep) {
  EXPECT_EQ(nice_ticks(0, 1, 5), (Values{0, 0.2, 0.4, 0.6, 0.8, 1}));
  EXPECT_EQ(nice_ticks(1, 500, 5), (Values{100, 200, 300, 400, 500}));
  EXPECT_EQ(nice_ticks(-3, 7, 5), (Values{-2, 0, 2, 4, 6}));
}

TEST(Axis, LogTicksAreOneTwoFiveOrPowers) {
  EXPECT_EQ(log_ticks(1, 20), (Values{1, 2, 5, 10, 20}));
  EXPECT_EQ(log_ticks(0.01, 100), (Values{0.01, 0.1, 1, 10, 100}));
  EXPECT_LE(log_ticks(1e-30, 1e30).size(), 10u);
}

TEST(Axis, LabelsHaveTheDecimalsOfTheStep) {
  EXPECT_EQ(tick_label(0.5, 0.25, 1), "0.5");
  EXPECT_EQ(tick_label(0.4, 0.05, 1), "0.40");
  EXPECT_EQ(tick_label(1500, 500, 2000), "1500");
  EXPECT_EQ(tick_label(20000, 5000, 20000), "20k");
  EXPECT_EQ(tick_label(2.5e6, 5e5, 3e6), "2.5M");
  EXPECT_EQ(tick_label(1e-5, 1e-5, 5e-5), "1e-05");
  EXPECT_EQ(tick_label(0, 0.1, 1), "0");
}

TEST(Axis, AWideAxisEndsOnTicks) {
  const Axis axis = linear_axis(3, 97, 5, true);
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 100);
  EXPECT_DOUBLE_EQ(axis.position(25), 0.25);
}

TEST(Axis, EqualEndsAreMovedApart) {
  for (const double value : {0.0, 5.0, -2.0, 1e-12}) {
    const Axis axis = linear_axis(value, value, 5, true);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
  }
}

TEST(Axis, ALogAxisIsLinearInTheExponent) {
  const Axis axis = log_axis(1, 100);
  EXPECT_EQ(axis.low, 1);
  EXPECT_EQ(axis.high, 100);
  EXPECT_DOUBLE_EQ(axis.position(10), 0.5);
  EXPECT_LT(log_axis(3, 3).low, log_axis(3, 3).high);
}

TEST(Axis, SurvivesExtremeRanges) {
  for (const double low : {-1e300, 1e-310, 1e16, 5.0})
    for (const double high : {1e300, low * (1 + 1e-15), 1e-300}) {
      if (high < low) continue;
      EXPECT_LE(linear_axis(low, high, 5, true).ticks.size(), 60u);
      if (low >= 1e-300) {
        EXPECT_LE(log_axis(low, high).ticks.size(), 20u);
      }
    }
}

TEST(Thin, KeepsEndsAndPeaks) {
  Points points;
  for (int i = 0; i < 10000; ++i) points.emplace_back(i, i == 4321 ? 9.0 : i == 7000 ? -9.0 : 0.0);
  const Points kept = thin(points, 100);
  EXPECT_LE(kept.size(), 110u);
  EXPECT_EQ(kept.front(), points.front());
  EXPECT_EQ(kept.back(), points.back());
  EXPECT_EQ(std::count(kept.begin(), kept.end(), points[4321]), 1);
  EXPECT_EQ(std::count(kept.begin(), kept.end(), points[7000]), 1);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_EQ(thin(points, 20000), points);
}

TEST(Chart, DrawsOnePointAsADot) {
  const std::string html = chart_html({"Loss", "iteration", "loss", {{"a", {{1, 2}}}}}, "c");
  EXPECT_EQ(occurrences(html, "<circle"), 1u);
  EXPECT_EQ(occurrences(html, "<polyline"), 0u);
}

TEST(Chart, LeavesAGapWhereAValueIsNotFinite) {
  const Series series{"a", {{0, 1}, {1, 2}, {2, kNan}, {3, 2}, {4, 1}}};
  const std::string html = chart_html({"Loss", "iteration", "loss", {series}}, "c");
  EXPECT_EQ(occurrences(html, "<polyline"), 2u);
  EXPECT_NE(html.find("Not drawn: 1 value"), std::string::npos);
  EXPECT_EQ(html.find("nan"), std::string::npos);
}

TEST(Chart, SaysSoWhenThereIsNothingToDraw) {
  for (const auto& series :
       std::vector<std::vector<Series>>{{}, {{"a", {}}}, {{"a", {{0, kNan}, {INFINITY, 1}}}}})
    EXPECT_NE(chart_html({"Loss", "x", "y", series}, "c").find("no data"), std::string::npos);
  EXPECT_NE(chart_html({"Loss", "x", "y", {{"a", {{0, -1}}}}, true}, "c").find("no data"),
            std::string::npos);
}

TEST(Chart, NamesSeveralSeriesInALegend) {
  const Series one{"one", {{0, 1}, {1, 2}}}, two{"two & three", {{0, 1}, {1, 2}}};
  const std::string both = chart_html({"T", "x", "y", {one, two}}, "c");
  EXPECT_EQ(occurrences(both, "<li>"), 2u);
  EXPECT_NE(both.find("two &amp; three</li>"), std::string::npos);
  EXPECT_NE(both.find("class=\"s0 d0\""), std::string::npos);
  EXPECT_NE(both.find("class=\"s1 d1\""), std::string::npos);
  EXPECT_EQ(occurrences(chart_html({"T", "x", "y", {one}}, "c"), "<li>"), 0u);
}

TEST(Chart, ABackgroundSharesTheColourOfTheNextSeries) {
  Series raw{"raw", {{0, 1}, {1, 2}}};
  raw.background = true;
  const std::string html = chart_html({"T", "x", "y", {raw, {"mean", {{0, 1}, {1, 2}}}}}, "c");
  EXPECT_NE(html.find("class=\"s0 d0 back\""), std::string::npos);
  EXPECT_NE(html.find("class=\"s0 d0\""), std::string::npos);
}

TEST(Chart, DrawsErrorBars) {
  Series series{"a", {{0, 10}, {1, 20}, {2, 30}}};
  series.deviations = {1, kNan, 2};
  EXPECT_EQ(occurrences(chart_html({"T", "x", "y", {series}}, "c"), "class=\"bar\""), 2u);
}

TEST(Chart, ThinsLongLines) {
  Series series{"a", {}};
  for (int i = 0; i < 100000; ++i) series.points.emplace_back(i, std::sin(i));
  EXPECT_LT(chart_html({"T", "x", "y", {series}}, "c").size(), 20000u);
}

TEST(Chart, TellsItsContentInWords) {
  const std::string html =
      chart_html({"Loss", "iteration", "loss", {{"dm", {{1, 8}, {500, 2}}}}}, "c");
  EXPECT_NE(html.find("<title id=\"c-title\">Loss</title>"), std::string::npos);
  EXPECT_NE(html.find("loss against iteration. dm: 2 points, from 8 at 1 to 2 at 500."),
            std::string::npos);
}

}  // namespace
}  // namespace retort::report
