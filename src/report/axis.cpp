// No torch here.
#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/sizes.h"

namespace retort::report {
namespace {

constexpr std::array<int, 3> kNice = {1, 2, 5};
constexpr size_t kMostLogTicks = 7;

/// 1, 2, 5 times powers of ten, numbered: ..., -1 is 0.5, 0 is 1, 1 is 2, 2 is 5, 3 is 10, ...
double nice_value(int index) {
  const int decade = index >= 0 ? index / 3 : -((2 - index) / 3);
  const int digit = kNice[to_size(index - 3 * decade)];
  // Dividing by a whole power gives the double nearest to 0.2, multiplying by 0.1 does not.
  return decade >= 0 ? digit * std::pow(10.0, decade) : digit / std::pow(10.0, -decade);
}

/// Index of the greatest nice value that is not above `value` (to rounding), from 1e-300 on.
int nice_index(double value) {
  int index = 3 * static_cast<int>(std::floor(std::log10(std::max(value, 1e-300)))) - 1;
  while (nice_value(index + 1) <= value * (1 + 1e-12)) ++index;
  return index;
}

std::string plain_label(double value) {
  return fmt::format("{:.4g}", value);
}

}  // namespace

double Axis::position(double value) const {
  if (log) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

double nice_step(double range, int count) {
  const double least = range / std::max(count, 1);
  if (!(least > 0) || !std::isfinite(least)) return 1;
  const int index = nice_index(least);
  const double below = nice_value(index);
  return below >= least * (1 - 1e-12) ? below : nice_value(index + 1);
}

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!std::isfinite(high - low) || high <= low) return {low};
  const double step = nice_step(high - low, count);
  const double slack = 1e-9 * (high - low) / step;
  const double first = std::ceil(low / step - slack), last = std::floor(high / step + slack);
  std::vector<double> ticks;
  // The bound matters only where the range is smaller than the spacing of doubles.
  for (double k = first; k <= last && ticks.size() < 50; k += 1) {
    const double value = step < 1 ? k / std::round(1 / step) : k * step;
    ticks.push_back(step < 1e-9 ? k * step : value + 0.0);  // + 0.0: no negative zero
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> all, powers;
  for (int index = nice_index(low); nice_value(index) <= high * (1 + 1e-12); ++index) {
    if (nice_value(index) < low * (1 - 1e-12)) continue;
    all.push_back(nice_value(index));
    if (index % 3 == 0) powers.push_back(nice_value(index));
  }
  if (all.size() <= kMostLogTicks) return all;
  const size_t stride = (powers.size() + kMostLogTicks - 1) / kMostLogTicks;
  std::vector<double> ticks;
  for (size_t i = 0; i < powers.size(); i += std::max<size_t>(stride, 1))
    ticks.push_back(powers[i]);
  return ticks;
}

std::string tick_label(double value, double step, double largest) {
  if (value == 0) return "0";
  if (largest >= 1e9 || largest < 1e-3) return plain_label(value);
  if (largest >= 1e6) return plain_label(value / 1e6) + "M";
  if (largest >= 1e4) return plain_label(value / 1e3) + "k";
  const int decimals = step < 1 ? static_cast<int>(std::ceil(-std::log10(step) - 1e-9)) : 0;
  return fmt::format("{:.{}f}", value, std::clamp(decimals, 0, 6));
}

Axis linear_axis(double low, double high, int count, bool wide) {
  if (!(high > low)) {
    const double half = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= half;
    high += half;
  }
  Axis axis;
  const double step = nice_step(high - low, count);
  axis.low = wide ? std::floor(low / step + 1e-9) * step : low;
  axis.high = wide ? std::ceil(high / step - 1e-9) * step : high;
  axis.ticks = nice_ticks(axis.low, axis.high, wide ? count + 1 : count);
  const double apart = axis.ticks.size() > 1 ? axis.ticks[1] - axis.ticks[0] : step;
  const double largest = std::max(std::abs(axis.ticks.front()), std::abs(axis.ticks.back()));
  for (const double tick : axis.ticks) axis.labels.push_back(tick_label(tick, apart, largest));
  return axis;
}

Axis log_axis(double low, double high) {
  Axis axis;
  axis.log = true;
  const int first = nice_index(low);
  int last = std::max(nice_index(high), first);
  if (nice_value(last) < high * (1 - 1e-12) || last == first) ++last;
  axis.low = nice_value(first);
  axis.high = nice_value(last);
  axis.ticks = log_ticks(axis.low, axis.high);
  for (const double tick : axis.ticks) axis.labels.push_back(tick_label(tick, tick, tick));
  return axis;
}

}  // namespace retort::report
