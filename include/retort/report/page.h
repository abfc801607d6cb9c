// One self-contained HTML page of a run: images, curves, table, figures, recipe. Inline SVG and
// PNG, no scripts from elsewhere; readable on a phone and in dark mode. No torch here.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace retort::report {

/// A line of a chart.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;
};

/// A table; cells are plain text. `caption` says protocol and students.
struct Table {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

/// A picture of the page: PNG bytes.
struct Figure {
  std::string caption;
  std::string png;
};

struct Page {
  std::string title, summary;
  std::vector<std::pair<std::string, std::string>> figures_of_merit;  ///< "time", "3 min 20 s"
  std::vector<Figure> pictures;
  std::vector<Chart> charts;
  std::vector<Table> tables;
  std::vector<std::string> notes;  ///< deviations, warnings
  std::string recipe;              ///< TOML, shown whole
};

/// The whole page as HTML.
std::string render(const Page& page);

/// The page of a run from its records (kinds "run", "iteration", "evaluation", "finish"), recipe
/// and preview PNG bytes (may be empty).
Page run_page(const std::vector<nlohmann::json>& records, const std::string& recipe,
              const std::vector<Figure>& pictures);

}  // namespace retort::report
