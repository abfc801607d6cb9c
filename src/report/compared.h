// What is compared of runs, a row for each network that judged one. No torch here.
#pragma once

#include <string>
#include <vector>

#include "core/interval.h"
#include "report/comparison.h"
#include "report/costs.h"

namespace retort::report {

/// How well students do: over sets where there are several, else over students.
struct Reached {
  Interval interval = {kNan, kNan, kNan};
  double deviation = kNan;  ///< NaN of one student
  std::string labels;       ///< hard | soft | stored | live
  bool there() const { return interval.mean == interval.mean; }
};

/// A run by one network. What is not known is NaN or empty.
struct ComparedRow {
  std::string run, method, made_with, data, data_hash, version;
  std::string network, protocol, part, split, seed, date;  ///< of the evaluation
  bool soft_labels = false;
  Reached set, random, whole;
  double students = kNan, sets = 1, over_sets = kNan, over_students = kNan, test_images = kNan;
  double images = kNan, image_bytes = kNan, label_bytes = kNan, teacher_bytes = kNan;
  Costs costs;  ///< of all sets together
};

/// Rows in the order of the runs. A run that is not evaluated has one without a network.
std::vector<ComparedRow> compared(const std::vector<ComparedRun>& runs);

/// The protocol that a recipe names, or nothing.
std::string protocol_of(const std::string& recipe);

}  // namespace retort::report
