// Intervals that means of few values lie in. No torch here.
#pragma once

#include <vector>

namespace retort {

/// The mean and the interval of 95 % that the mean of all lies in, by Student's distribution. Of
/// one value the interval is not known: its ends are NaN.
struct Interval {
  double mean = 0, low = 0, high = 0;
};
Interval interval_of(const std::vector<double>& values);

}  // namespace retort
