#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "retort/core/error.h"

namespace retort::optim {
namespace {

/// From 1 to 0 as `share` goes from 0 to 1.
double half_cosine(double share) {
  return 0.5 * (1 + std::cos(std::numbers::pi * share));
}

double constant(double, double) {
  return 1;
}

double cosine(double step, double total) {
  return half_cosine(step / total);
}

double cosine_to_tenth(double step, double total) {
  constexpr double kLowest = 0.1;
  return kLowest + (1 - kLowest) * cosine(step, total);
}

double cosine_to_hundredth(double step, double total) {
  constexpr double kLowest = 0.01;
  return kLowest + (1 - kLowest) * cosine(step, total);
}

double slow_cosine(double step, double total) {
  return half_cosine(step / (2 * total));
}

double linear(double step, double total) {
  return 1 - step / total;
}

double halving(double step, double total) {
  constexpr double kTimes = 10;
  return std::pow(0.5, std::floor(step * kTimes / total));
}

double fifths(double step, double total) {
  constexpr double kTimes = 5;
  return std::pow(0.5, std::floor(step * kTimes / total));
}

/// As PyTorch's MultiStepLR of whole epochs.
double two_drops(double step, double total) {
  constexpr double kFactor = 0.2;
  return (step < std::floor(2 * total / 3) ? 1 : kFactor) *
         (step < std::floor(5 * total / 6) ? 1 : kFactor);
}

double late_halvings(double step, double total) {
  double factor = 1;
  for (const double share : {0.6, 0.8, 0.9})
    if (step >= share * total) factor /= 2;
  return factor;
}

double drop(double step, double total) {
  return step > std::floor(total / 2) + 1 ? 0.1 : 1;
}

}  // namespace

const std::vector<ScheduleEntry>& schedule_table() {
  static const std::vector<ScheduleEntry> table = {
      {"constant", "1 throughout", constant},
      {"cosine", "half a cosine, from 1 to 0", cosine},
      {"cosine_to_tenth", "half a cosine, from 1 to 0.1 (images of FRePo)", cosine_to_tenth},
      {"cosine_to_hundredth", "half a cosine, from 1 to 0.01 (students of FRePo)",
       cosine_to_hundredth},
      {"slow_cosine", "a quarter of a cosine, from 1 to 1/2", slow_cosine},
      {"linear", "a straight line, from 1 to 0", linear},
      {"halving", "halved after every tenth (DD)", halving},
      {"fifths", "halved after every fifth (students of NCFM)", fifths},
      {"two_drops", "x0.2 after two thirds and after five sixths (students of TGDD)", two_drops},
      {"late_halvings", "halved after 0.6, 0.8 and 0.9 (images of CAFE)", late_halvings},
      {"drop", "0.1 after step total/2 + 1 (students of DC and DM)", drop},
  };
  return table;
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const ScheduleEntry& entry : schedule_table()) names.emplace_back(entry.name);
  return names;
}

Schedule::Schedule(std::string_view name, Warmup warmup) : curve_(nullptr), warmup_(warmup) {
  for (const ScheduleEntry& entry : schedule_table())
    if (entry.name == name) curve_ = entry.factor;
  if (!curve_)
    throw ConfigError::unknown("choosing how a rate changes", "schedule", name, schedule_names());
}

double Schedule::factor(double step, double total) const {
  if (step < warmup_.steps) return warmup_.from + (1 - warmup_.from) * step / warmup_.steps;
  return curve_(step - warmup_.steps, std::max(total - warmup_.steps, 1.0));
}

}  // namespace retort::optim
