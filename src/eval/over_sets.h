// Evaluations of several sets of one recipe as one. No torch here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "retort/core/records.h"

namespace retort::eval {

/// The record of one set's evaluation, and what the set is called.
struct SetEvaluation {
  std::string set;
  Json record;
};

/// One record of kind "evaluation" of all sets, which the same networks judged in the same way. A
/// result has the accuracies of all students of all sets, their mean and deviation, and, where
/// several sets have it, "sets" (the accuracies of each), "deviation_over_sets" (of the sets'
/// means) and "deviation_over_students" (the root of the mean over sets of the variance among its
/// students).
Json over_sets(const std::vector<SetEvaluation>& evaluations);

}  // namespace retort::eval
