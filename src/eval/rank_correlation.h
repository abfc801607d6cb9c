// How well one order of things agrees with another. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace retort::eval {

/// Ranks from 1, the mean rank of equal values.
std::vector<double> ranks(const std::vector<double>& values);

/// Spearman's correlation: Pearson's of the ranks. NaN of fewer than two, and where all values of
/// one side are equal.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// A correlation with a bootstrap interval of 95 %: pairs drawn anew, with replacement.
struct Correlation {
  int64_t count = 0;  ///< pairs
  double value = 0, low = 0, high = 0;
};
Correlation correlate(const std::vector<double>& a, const std::vector<double>& b, uint64_t seed,
                      int64_t resamples = 2000);

/// The same over the `top` pairs with the largest b.
Correlation correlate_top(const std::vector<double>& a, const std::vector<double>& b, size_t top,
                          uint64_t seed);

}  // namespace retort::eval
