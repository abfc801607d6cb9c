// The evaluations of a run: tables, the one that speaks for the set, and notes. No torch here.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// The distilled set in the evaluation that speaks for it, with its baselines.
struct Headline {
  std::string network, part, protocol;
  double students = kNan, test_images = kNan, mean = kNan, deviation = kNan;
  double images = kNan, random_images = kNan;
  double random_mean = kNan, random_deviation = kNan, whole_mean = kNan;
};

/// What a page shows of all evaluations.
struct Evaluations {
  std::optional<Headline> best;
  /// The evaluation of `best`, with its results of one kind of labels, which "soft_labels" says;
  /// null where there is none.
  Json evaluation;
  std::vector<Table> tables;  ///< that of `best` first, then the latest
  std::vector<HeatMap> heat_maps;
  std::vector<std::string> notes;
};

/// `protocol` is the one that the set was made for, or empty. Its whole evaluation speaks for the
/// set, not a shortened or another one, however late.
Evaluations evaluations_of(const std::vector<Json>& records, const std::string& protocol);

}  // namespace retort::report
