// Means that figures are given by. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort {

/// Mean and population standard deviation; both 0 of no values.
struct MeanDeviation {
  double mean = 0, deviation = 0;
};
MeanDeviation mean_deviation(const std::vector<double>& values);

/// "48.9 ± 0.6" of fractions; of a single one, which has no deviation, "48.9".
std::string percent(double mean, double deviation, int64_t of = 2);

}  // namespace retort
