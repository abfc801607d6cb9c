// Schedules: what a rate is multiplied by as a training goes on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort::optim {

/// A curve by name. `factor` is that of step `step`, from 0 on, of `total`.
struct ScheduleEntry {
  std::string_view name, summary;
  double (*factor)(double step, double total);
};

/// All curves; each name means the same curve wherever it stands.
const std::vector<ScheduleEntry>& schedule_table();
std::vector<std::string> schedule_names();

/// Steps before a curve begins, which rise to 1 in a straight line.
struct Warmup {
  double steps = 0;
  double from = 0.01;  ///< the first factor; a hundredth is what torchvision's training begins with
};

/// A curve, after a warm-up if there is one.
class Schedule {
 public:
  /// ConfigError on an unknown name.
  explicit Schedule(std::string_view name, Warmup warmup = {});
  /// Of step `step`, from 0 on, of `total` in all; steps may be iterations, epochs or batches.
  double factor(double step, double total) const;

 private:
  double (*curve_)(double step, double total);
  Warmup warmup_;
};

}  // namespace retort::optim
