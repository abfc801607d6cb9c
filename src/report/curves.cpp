// No torch here.
#include "report/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace retort::report {
namespace {

/// Mean over `span` points around each, skipping what is not finite.
std::vector<std::pair<double, double>> running_mean(
    const std::vector<std::pair<double, double>>& curve, size_t span) {
  std::vector<std::pair<double, double>> mean;
  const size_t half = span / 2;
  for (size_t i = 0; i < curve.size(); ++i) {
    const size_t first = i > half ? i - half : 0, last = std::min(i + half + 1, curve.size());
    double sum = 0, finite = 0;
    for (size_t j = first; j < last; ++j)
      if (std::isfinite(curve[j].second)) sum += curve[j].second, finite += 1;
    mean.emplace_back(curve[i].first, finite > 0 ? sum / finite : kNan);
  }
  return mean;
}

/// Losses that fall through more than a factor of 30 are seen on a logarithmic axis only.
bool wants_log(const std::vector<std::pair<double, double>>& curve) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const auto& [x, y] : curve) {
    if (!std::isfinite(y)) continue;
    low = std::min(low, y);
    high = std::max(high, y);
  }
  return low > 0 && std::isfinite(low) && high > 30 * low;
}

}  // namespace

std::optional<Chart> loss_chart(const std::vector<Json>& iterations) {
  Series loss{"loss", {}};
  for (const Json& record : iterations)
    if (record.contains("loss"))
      loss.points.emplace_back(number(record, "iteration"), number(record, "loss"));
  if (loss.points.empty()) return std::nullopt;
  Chart chart{"Loss", "iteration", "loss", {}};
  const size_t span = loss.points.size() / 50 * 2 + 1;
  if (span > 1) {
    Series mean{fmt::format("mean over {} records", span), running_mean(loss.points, span)};
    chart.log_y = wants_log(mean.points);
    loss.background = true;
    chart.series = {loss, mean};
  } else {
    chart.log_y = wants_log(loss.points);
    chart.series = {loss};
  }
  return chart;
}

std::optional<Chart> validation_chart(const std::vector<Json>& validations) {
  Chart chart{"Validation accuracy", "iteration", "accuracy, %", {}};
  for (const Json& record : validations) {
    const std::string network = text(record, "network");
    auto series = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const Series& one) { return one.name == network; });
    if (series == chart.series.end()) series = chart.series.insert(series, Series{network, {}});
    series->points.emplace_back(number(record, "iteration"), 100 * number(record, "mean"));
    series->deviations.push_back(100 * number(record, "deviation"));
  }
  if (chart.series.empty()) return std::nullopt;
  if (chart.series.size() == 1 && !chart.series[0].name.empty())
    chart.title += " of " + chart.series[0].name;
  return chart;
}

}  // namespace retort::report
