// What sets reached under many networks, from JSON. No torch here.
#pragma once

#include <string>
#include <vector>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// One set under one network.
struct CrossCell {
  std::vector<double> accuracies;
  double rate = kNan;
  bool at_end = false;
  std::string labels;
  double label_bytes = kNan, teacher_bytes = kNan;

  double mean() const;       ///< NaN where it was not judged yet
  double deviation() const;  ///< NaN of one student
};

/// A set, or random real images.
struct CrossRow {
  Json about;
  std::string name, made_with, baseline;
  bool random = false, soft = false;
  std::vector<CrossCell> cells;  ///< by network
};

struct Cross {
  std::vector<std::string> networks;
  std::vector<CrossRow> rows;

  const CrossRow* find(const std::string& name) const;  ///< null where there is none
  std::vector<const CrossRow*> with(bool soft_labels) const;
};

Cross cross_of(const Json& found);

/// Accuracies of the sets with one kind of labels, as a table and as a picture.
Table cross_accuracies(const Cross& cross, bool soft_labels);
HeatMap cross_heat_map(const Cross& cross, bool soft_labels);
/// What is left with networks that a set was not made with.
Table transfer_table(const Cross& cross);
Table rate_table(const Cross& cross);
Table set_table(const Cross& cross);

}  // namespace retort::report
