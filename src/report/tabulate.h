// Cells as CSV, tables as LaTeX. No torch here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "retort/report/page.h"

namespace retort::report {

/// Rows of (name of the column, cell), all with the same names, as CSV with a head; RFC 4180.
std::string csv_of(const std::vector<std::vector<std::pair<std::string, std::string>>>& rows);
/// A number as CSV cells have it: nothing where it is not known.
std::string csv_number(double value);

/// A tabular with its caption as a comment.
std::string latex_table(const Table& table);

}  // namespace retort::report
