// No torch here.
#include "report/cross_cells.h"

#include <algorithm>

#include "core/mean.h"

namespace retort::report {
namespace {

CrossCell cell_of(const Json& found) {
  CrossCell cell;
  for (const Json& one : found.value("accuracies", Json::array()))
    if (one.is_number()) cell.accuracies.push_back(one.get<double>());
  cell.rate = number(found, "rate");
  cell.at_end = flag(found, "at_end", false);
  cell.labels = text(found, "labels");
  cell.label_bytes = number(found, "label_bytes");
  cell.teacher_bytes = number(found, "teacher_bytes");
  return cell;
}

}  // namespace

double CrossCell::mean() const {
  return accuracies.empty() ? kNan : mean_deviation(accuracies).mean;
}

double CrossCell::deviation() const {
  return accuracies.size() < 2 ? kNan : mean_deviation(accuracies).deviation;
}

const CrossRow* Cross::find(const std::string& name) const {
  for (const CrossRow& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::vector<const CrossRow*> Cross::with(bool soft_labels) const {
  std::vector<const CrossRow*> found;
  for (const CrossRow& row : rows)
    if (row.soft == soft_labels) found.push_back(&row);
  return found;
}

Cross cross_of(const Json& found) {
  Cross cross;
  cross.networks = texts(found, "networks");
  for (const Json& about : found.value("sets", Json::array())) {
    CrossRow row{about,
                 text(about, "set"),
                 text(about, "made_with"),
                 text(about, "baseline"),
                 flag(about, "random", false),
                 flag(about, "soft_labels", false),
                 {}};
    row.cells.resize(cross.networks.size());
    for (const Json& one : found.value("cells", Json::array())) {
      const auto place =
          std::find(cross.networks.begin(), cross.networks.end(), text(one, "network"));
      if (text(one, "set") != row.name || place == cross.networks.end()) continue;
      CrossCell& cell = row.cells[static_cast<size_t>(place - cross.networks.begin())];
      cell = cell_of(one);
      row.soft = row.soft || (!cell.labels.empty() && cell.labels != "hard");
    }
    cross.rows.push_back(std::move(row));
  }
  return cross;
}

}  // namespace retort::report
