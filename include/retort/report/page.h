// One self-contained HTML page of a run: images, table, curves, figures, recipe. Inline SVG and
// PNG, no scripts, nothing fetched; readable on a phone and in dark mode. No torch here.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace retort::report {

/// A line of a chart. Points come in the order of x; one that is not finite leaves a gap.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  std::vector<double> deviations = {};  ///< half-lengths of error bars; empty: none
  bool background = false;              ///< drawn pale, in the colour of the series after it
  bool dots = false;                    ///< points without a line between them, in any order
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;
};

/// A table; cells are plain text. `caption` says protocol and students. Columns of numbers are set
/// right. Behind the numbers of `percent_column` (-1: none) stand bars from 0 to 100.
struct Table {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  int percent_column = -1;
  std::vector<size_t> strong_rows = {};  ///< set in bold
};

/// A matrix as a picture: `values[r][c]` between `low` and `high` fills a cell, NaN leaves it
/// empty. Up to 20 rows and columns cells show their `texts`, up to 40 the names are shown.
/// `marked` cells (row, column) are outlined.
struct HeatMap {
  std::string caption;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  std::vector<std::vector<std::string>> texts = {};
  double low = 0, high = 1;
  std::vector<std::pair<size_t, size_t>> marked = {};
};

/// A picture of the page: PNG bytes.
struct Figure {
  std::string caption;
  std::string png;
};

/// What a page shows, from top to bottom.
struct Page {
  std::string title, summary;
  std::vector<std::pair<std::string, std::string>> figures_of_merit;  ///< "time", "3 min 20 s"
  std::vector<Figure> pictures;
  std::vector<Table> tables;
  std::string tables_title = "Accuracy";
  std::vector<HeatMap> heat_maps = {};  ///< after the tables
  std::vector<Chart> charts;
  std::vector<std::string> notes;                          ///< deviations, warnings
  std::vector<std::pair<std::string, std::string>> facts;  ///< "network", "convnet"; how it was run
  std::string recipe;                                      ///< TOML, shown whole
};

/// The whole page as HTML.
std::string render(const Page& page);

/// The page of a run from its records (kinds "run", "iteration", "validation", "finish",
/// "evaluation"; what is missing is left out), recipe and preview PNG bytes (may be empty).
Page run_page(const std::vector<nlohmann::json>& records, const std::string& recipe,
              const std::vector<Figure>& pictures);

}  // namespace retort::report
