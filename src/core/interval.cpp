// No torch here.
#include "core/interval.h"

#include <array>
#include <cmath>
#include <limits>

#include "core/mean.h"

namespace retort {
namespace {

/// The 97.5 % point of Student's distribution: a table to 10 degrees of freedom, then the expansion
/// of Cornish and Fisher, right to three digits.
double student_point(size_t freedom) {
  constexpr std::array<double, 10> kTable = {12.706, 4.303, 3.182, 2.776, 2.571,
                                             2.447,  2.365, 2.306, 2.262, 2.228};
  if (freedom <= kTable.size()) return kTable.at(freedom - 1);
  constexpr double z = 1.959964;
  const double first = (z * z * z + z) / 4;
  const double second = (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / 96;
  const auto of = static_cast<double>(freedom);
  return z + first / of + second / (of * of);
}

}  // namespace

Interval interval_of(const std::vector<double>& values) {
  const auto [mean, deviation] = mean_deviation(values);
  if (values.size() < 2) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    return {mean, kUnknown, kUnknown};
  }
  // The population deviation over n - 1 is the sample's over n.
  const size_t freedom = values.size() - 1;
  const double half = student_point(freedom) * deviation / std::sqrt(static_cast<double>(freedom));
  return {mean, mean - half, mean + half};
}

}  // namespace retort
