// No torch here.
#include "report/costs.h"

#include <algorithm>
#include <cmath>

namespace retort::report {
namespace {

Needed needed_of(const Json& record) {
  Needed needed;
  const std::string what = text(record, "what");
  const double number_of = number(record, "count");
  needed.what = number_of > 1 ? count(number_of, what) : what;
  needed.bytes = number(record, "bytes");
  needed.seconds = number(record, "seconds");
  needed.peak_memory = number(record, "peak_memory_bytes");
  return needed;
}

}  // namespace

double Costs::whole_seconds() const {
  double all = seconds;
  for (const Needed& one : needed) all += one.seconds;
  return all;
}

double Costs::whole_peak() const {
  double most = peak_memory;
  for (const Needed& one : needed)
    most = std::isfinite(one.peak_memory) ? std::max(most, one.peak_memory) : kNan;
  return most;
}

double Costs::needed_bytes() const {
  double all = 0;
  for (const Needed& one : needed) all += one.bytes;
  return all;
}

std::string Costs::words() const {
  std::string all;
  for (const Needed& one : needed) all += (all.empty() ? "" : " and ") + one.what;
  return all;
}

Costs costs_of(const std::vector<Json>& records) {
  Costs costs;
  for (const Json& record : records) {
    if (!record.is_object()) continue;
    const std::string kind = text(record, "kind");
    if (kind == "needed") costs.needed.push_back(needed_of(record));
    if (kind != "iteration" && kind != "finish") continue;
    // fmax ignores a NaN where the other is a number.
    costs.seconds = std::fmax(costs.seconds, number(record, "seconds"));
    costs.peak_memory = std::fmax(costs.peak_memory, number(record, "peak_memory_bytes"));
  }
  return costs;
}

}  // namespace retort::report
