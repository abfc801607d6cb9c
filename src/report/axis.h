// Axes of charts: ranges, ticks and their labels. No torch here.
#pragma once

#include <string>
#include <vector>

namespace retort::report {

/// One axis of a chart: `position` maps values to 0 (low end) .. 1 (high end).
struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<double> ticks;
  std::vector<std::string> labels;  ///< of the ticks, in their order
  double position(double value) const;
};

/// 1, 2 or 5 times a power of ten, at least range / count.
double nice_step(double range, int count);
/// The multiples of nice_step inside [low, high]; at most about `count` of them.
std::vector<double> nice_ticks(double low, double high, int count);
/// 1, 2, 5 times powers of ten inside [low, high], or powers of ten alone where those are many.
std::vector<double> log_ticks(double low, double high);
/// "0.25", "1500", "20k", "1e-05": with the decimals that ticks `step` apart need, and the unit
/// that suits the `largest` of them.
std::string tick_label(double value, double step, double largest);

/// An axis over data from `low` to `high`; a `wide` one ends on ticks. Equal ends are moved apart.
Axis linear_axis(double low, double high, int count, bool wide);
/// A logarithmic axis that ends on 1, 2 or 5 times powers of ten; low > 0.
Axis log_axis(double low, double high);

}  // namespace retort::report
