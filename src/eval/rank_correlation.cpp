// No torch here.
#include "eval/rank_correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/mean.h"
#include "core/sizes.h"
#include "retort/core/random.h"

namespace retort::eval {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const auto [mean_a, deviation_a] = mean_deviation(a);
  const auto [mean_b, deviation_b] = mean_deviation(b);
  if (a.size() < 2 || deviation_a == 0 || deviation_b == 0) return kUnknown;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / (static_cast<double>(a.size()) * deviation_a * deviation_b);
}

std::vector<size_t> order_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t i, size_t j) { return values[i] < values[j]; });
  return order;
}

}  // namespace

std::vector<double> ranks(const std::vector<double>& values) {
  const std::vector<size_t> order = order_of(values);
  std::vector<double> all(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) all[order[i]] = static_cast<double>(begin + 1 + end) / 2;
  }
  return all;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  return pearson(ranks(a), ranks(b));
}

Correlation correlate(const std::vector<double>& a, const std::vector<double>& b, uint64_t seed,
                      int64_t resamples) {
  Correlation found{std::ssize(a), spearman(a, b), kUnknown, kUnknown};
  std::vector<double> values;
  for (int64_t r = 0; r < resamples && a.size() > 2; ++r) {
    RandomStream stream(seed, "eval.bootstrap", static_cast<uint64_t>(r));
    std::vector<double> some_a, some_b;
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t j = to_size(stream.uniform_int(std::ssize(a)));
      some_a.push_back(a[j]);
      some_b.push_back(b[j]);
    }
    const double value = spearman(some_a, some_b);
    if (std::isfinite(value)) values.push_back(value);
  }
  if (values.empty()) return found;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  found.low = at(0.025);
  found.high = at(0.975);
  return found;
}

Correlation correlate_top(const std::vector<double>& a, const std::vector<double>& b, size_t top,
                          uint64_t seed) {
  std::vector<size_t> order = order_of(b);
  std::reverse(order.begin(), order.end());
  order.resize(std::min(top, order.size()));
  std::vector<double> top_a, top_b;
  for (const size_t i : order) {
    top_a.push_back(a[i]);
    top_b.push_back(b[i]);
  }
  return correlate(top_a, top_b, seed);
}

}  // namespace retort::eval
