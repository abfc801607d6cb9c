// The tables of runs side by side. No torch here.
#pragma once

#include <vector>

#include "report/compared.h"
#include "retort/report/page.h"

namespace retort::report {

/// Accuracies of the runs whose students learn soft labels, or of those with hard ones.
Table accuracy_table(const std::vector<ComparedRow>& rows, bool soft_labels);
/// What is stored, and what time and memory it took, each run once.
Table cost_table(const std::vector<ComparedRow>& rows);
/// What the accuracies are of: data, part, protocol, seed and date.
Table evaluation_table(const std::vector<ComparedRow>& rows);

}  // namespace retort::report
