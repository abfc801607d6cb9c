// Scores as tables, JSON and CSV: hard and soft labels never in one column.
#pragma once

#include <string>
#include <vector>

#include "eval/score.h"
#include "retort/report/page.h"

namespace retort::cli {

report::Page score_page(const std::vector<eval::Score>& scores, const std::string& recipe);
Json scores_json(const std::vector<eval::Score>& scores);
/// A line for every figure and every score.
std::string scores_csv(const std::vector<eval::Score>& scores);

}  // namespace retort::cli
