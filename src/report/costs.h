// What a set cost in all: its run, and the experts and teachers that were made for it. No torch
// here.
#pragma once

#include <string>
#include <vector>

#include "report/record_fields.h"

namespace retort::report {

/// What a run needed beside the data, as far as it is known; NaN where it is not.
struct Needed {
  std::string what;  ///< "20 experts", "teacher"
  double bytes = kNan, seconds = kNan, peak_memory = kNan;
};

struct Costs {
  double seconds = kNan, peak_memory = kNan;  ///< of the run alone
  std::vector<Needed> needed;

  /// Of all together; NaN where a part of it is not known.
  double whole_seconds() const;
  /// The largest of all; NaN where a part of it is not known.
  double whole_peak() const;
  double needed_bytes() const;
  /// "20 experts and a teacher"; empty where nothing was needed.
  std::string words() const;
};

/// From the records of a run (kinds "iteration", "finish" and "needed").
Costs costs_of(const std::vector<Json>& records);

}  // namespace retort::report
