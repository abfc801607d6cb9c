// Runs side by side: a page, and the same figures as CSV and LaTeX. Accuracies with hard and with
// soft labels stand in tables of their own, in CSV in columns of their own. No torch here.
#pragma once

#include <string>
#include <vector>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// A run as it is compared: its records and its recipe. Of several sets of one recipe, `records`
/// are those of all together, `sets` those of each.
struct ComparedRun {
  std::string name;
  std::vector<Json> records;
  std::string recipe;
  std::vector<std::vector<Json>> sets = {};
  std::vector<Figure> pictures = {};
};

Page comparison_page(const std::vector<ComparedRun>& runs);
/// A line for each network that judged a run; accuracies as fractions, times in seconds.
std::string comparison_csv(const std::vector<ComparedRun>& runs);
/// Tables without a preamble or packages, accuracies in percent.
std::string comparison_latex(const std::vector<ComparedRun>& runs);

}  // namespace retort::report
