// No torch here.
#include "eval/score_arithmetic.h"

#include <array>
#include <cmath>
#include <limits>

#include "core/mean.h"

namespace retort::eval {
namespace {

/// The 97.5 % point of Student's distribution: a table to 10 degrees of freedom, then the expansion
/// of Cornish and Fisher, right to three digits.
double student_point(double freedom) {
  constexpr std::array<double, 10> kTable = {12.706, 4.303, 3.182, 2.776, 2.571,
                                             2.447,  2.365, 2.306, 2.262, 2.228};
  if (freedom <= 10) return kTable[static_cast<size_t>(freedom) - 1];
  constexpr double z = 1.959964;
  const double first = (z * z * z + z) / 4,
               second = (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / 96;
  return z + first / freedom + second / (freedom * freedom);
}

}  // namespace

Estimate estimate(const std::vector<double>& values) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  const auto [mean, deviation] = mean_deviation(values);
  if (values.size() < 2) return {mean, kUnknown, kUnknown};
  const auto freedom = static_cast<double>(values.size() - 1);
  const double half = student_point(freedom) * deviation / std::sqrt(freedom);
  return {mean, mean - half, mean + half};
}

double normalised(double a) {
  return (std::exp(a) - std::exp(-1.0)) / (std::exp(1.0) - std::exp(-1.0));
}

RunScores scores_of(const ScoreInput& input, double label_weight, double augmentation_weight) {
  RunScores scores;
  scores.hard_recovery = input.whole - input.hard;
  scores.improvement = input.own - input.random;
  const double plain = input.own_plain - input.random_plain;
  scores.label_robust =
      normalised(label_weight * scores.improvement - (1 - label_weight) * scores.hard_recovery);
  scores.augmentation_robust =
      normalised(augmentation_weight * scores.improvement + (1 - augmentation_weight) * plain);
  return scores;
}

}  // namespace retort::eval
