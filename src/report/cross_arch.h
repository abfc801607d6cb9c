// Sets under many networks: a page with heat maps, and the same figures as CSV and LaTeX. Sets with
// hard and with soft labels stand in tables of their own. No torch here.
#pragma once

#include <string>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// `found` has "sets" and "cells" as eval::to_json and eval::cross_cell give them, "networks"
/// (names), and "data", "data_hash", "split", "students", "seed", "test_images", "held_out_images",
/// "date". Cells may be missing.
Page cross_arch_page(const Json& found);
/// A line for each cell; accuracies as fractions.
std::string cross_arch_csv(const Json& found);
/// A table for each kind of labels, without a preamble or packages.
std::string cross_arch_latex(const Json& found);

}  // namespace retort::report
