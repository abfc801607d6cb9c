// No torch here.
#include "core/mean.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace retort {

MeanDeviation mean_deviation(const std::vector<double>& values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return {mean, std::sqrt(sum / count)};
}

std::string percent(double mean, double deviation, int64_t of) {
  if (of < 2) return fmt::format("{:.1f}", mean * 100);
  return fmt::format("{:.1f} ± {:.1f}", mean * 100, deviation * 100);
}

}  // namespace retort
