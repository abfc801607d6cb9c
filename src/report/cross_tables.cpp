// The tables of sets under many networks. No torch here.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/mean.h"
#include "report/cross_cells.h"

namespace retort::report {
namespace {

std::string labels_text(bool soft) {
  return soft ? "soft labels, learned or of a teacher" : "hard labels";
}

/// The accuracy with the network that the set was made with, and the mean over the others.
struct Transfer {
  double own = kNan, others = kNan, above = kNan;

  Transfer(const Cross& cross, const CrossRow& row) {
    const CrossRow* random = cross.find(row.baseline);
    std::vector<double> means, differences;
    for (size_t n = 0; n < row.cells.size(); ++n) {
      const double mean = row.cells[n].mean();
      if (cross.networks[n] == row.made_with) {
        own = mean;
        continue;
      }
      if (!std::isfinite(mean)) continue;
      means.push_back(mean);
      if (random && std::isfinite(random->cells[n].mean()))
        differences.push_back(mean - random->cells[n].mean());
    }
    if (!means.empty()) others = mean_deviation(means).mean;
    if (!differences.empty()) above = mean_deviation(differences).mean;
  }
};

}  // namespace

Table cross_accuracies(const Cross& cross, bool soft) {
  Table table;
  table.caption =
      "Test accuracy in percent, mean ± standard deviation over students, each network at "
      "the rate that is best for it and the set; " +
      labels_text(soft) + ".";
  table.head = {"Set", "Made with"};
  table.head.insert(table.head.end(), cross.networks.begin(), cross.networks.end());
  for (const CrossRow* row : cross.with(soft)) {
    std::vector<std::string> cells{row->name, row->made_with};
    for (const CrossCell& cell : row->cells)
      cells.push_back(cell.accuracies.empty() ? "" : percent(cell.mean(), cell.deviation()));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

HeatMap cross_heat_map(const Cross& cross, bool soft) {
  HeatMap map;
  map.caption = "Test accuracy in percent, " + labels_text(soft) +
                "; outlined: the network that the set was made with.";
  map.columns = cross.networks;
  double low = 1, high = 0;
  for (const CrossRow* row : cross.with(soft)) {
    std::vector<double>& values = map.values.emplace_back();
    std::vector<std::string>& shown = map.texts.emplace_back();
    for (size_t n = 0; n < row->cells.size(); ++n) {
      const double mean = row->cells[n].mean();
      values.push_back(mean);
      shown.push_back(std::isfinite(mean) ? fmt::format("{:.1f}", 100 * mean) : "");
      if (std::isfinite(mean)) low = std::min(low, mean), high = std::max(high, mean);
      if (cross.networks[n] == row->made_with) map.marked.emplace_back(map.rows.size(), n);
    }
    map.rows.push_back(row->name);
  }
  // The palest cell is not empty.
  map.low = low - 0.1 * (high - low);
  map.high = high;
  return map;
}

Table transfer_table(const Cross& cross) {
  Table table;
  table.caption =
      "What is left with other networks: their mean accuracy beside that of the network which the "
      "set "
      "was made with, and how far above random real images they are, in points.";
  table.head = {"Set",     "Made with",          "With it, %", "Others, mean %",
                "Kept, %", "Others above random"};
  for (const CrossRow& row : cross.rows) {
    if (row.random) continue;
    const Transfer transfer(cross, row);
    const auto in_percent = [](double value) {
      return std::isfinite(value) ? fmt::format("{:.1f}", 100 * value) : "";
    };
    table.rows.push_back({row.name, row.made_with, in_percent(transfer.own),
                          in_percent(transfer.others), in_percent(transfer.others / transfer.own),
                          std::isfinite(transfer.above) ? points(transfer.above) : ""});
  }
  return table;
}

Table rate_table(const Cross& cross) {
  Table table;
  table.caption = "The learning rates that were chosen, on images that no student is tested on.";
  table.head = {"Set"};
  table.head.insert(table.head.end(), cross.networks.begin(), cross.networks.end());
  for (const CrossRow& row : cross.rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    cells.push_back(row.name);
    for (const CrossCell& cell : row.cells)
      cells.push_back(std::isfinite(cell.rate) && cell.rate > 0
                          ? fmt::format("{:g}{}", cell.rate, cell.at_end ? " *" : "")
                          : "");
  }
  return table;
}

Table set_table(const Cross& cross) {
  Table table;
  table.caption = "The sets.";
  table.head = {"Set",    "Method",        "Made with",    "Protocol",
                "Images", "Stored images", "Stored labels"};
  for (const CrossRow& row : cross.rows) {
    const CrossCell& first = row.cells.empty() ? CrossCell() : row.cells.front();
    const double labels =
        std::isfinite(first.label_bytes) ? first.label_bytes : number(row.about, "label_bytes");
    table.rows.push_back(
        {row.name, text(row.about, "method"), row.made_with, text(row.about, "protocol"),
         whole(number(row.about, "images")), size_text(number(row.about, "image_bytes")),
         size_text(labels) +
             (first.teacher_bytes > 0 ? ", teacher " + size_text(first.teacher_bytes) : "")});
  }
  return table;
}

}  // namespace retort::report
