// No torch here.
#include "report/classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace retort::report {
namespace {

constexpr size_t kMostDrawn = 100, kMostNamed = 20, kPairs = 10;

/// Shares of the images of each class, [K][K]; empty where the counts are absent or damaged.
std::vector<std::vector<double>> shares_of(const Json& result, size_t classes) {
  const auto field = result.find("confusion");
  if (field == result.end() || !field->is_array() || field->size() != classes || classes < 2)
    return {};
  std::vector<std::vector<double>> shares;
  for (const Json& counts : *field) {
    if (!counts.is_array() || counts.size() != classes) return {};
    std::vector<double>& row = shares.emplace_back();
    double sum = 0;
    for (const Json& count : counts) {
      if (!count.is_number()) return {};
      row.push_back(count.get<double>());
      sum += row.back();
    }
    for (double& share : row) share = sum > 0 ? share / sum : kNan;
  }
  return shares;
}

std::string of_students(const Json& result) {
  return text(result, "network") + " on the distilled set, over all students";
}

}  // namespace

std::optional<Table> class_table(const Json& evaluation, const Json& result) {
  constexpr size_t kMost = 20, kLowest = 20;
  const auto names = texts(evaluation, "class_names");
  const auto field = result.find("class_accuracies");
  if (field == result.end() || !field->is_array() || field->size() != names.size() ||
      names.size() < 2)
    return std::nullopt;
  std::vector<std::pair<double, std::string>> classes;
  for (size_t c = 0; c < names.size(); ++c)
    if ((*field)[c].is_number()) classes.emplace_back((*field)[c].get<double>(), names[c]);
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Table table;
  table.caption = fmt::format(
      "Accuracy of each class in percent: {} on the distilled set, mean "
      "over students; the lowest first",
      text(result, "network"));
  if (classes.size() > kMost) {
    classes.resize(kLowest);
    table.caption += fmt::format(", {} of {}", kLowest, whole(static_cast<double>(names.size())));
  }
  table.caption += ".";
  table.head = {"Class", "Accuracy, %"};
  table.percent_column = 1;
  for (const auto& [accuracy, name] : classes)
    table.rows.push_back({name, percent(accuracy, kNan)});
  return table;
}

std::optional<HeatMap> confusion_map(const Json& evaluation, const Json& result) {
  HeatMap map;
  map.rows = map.columns = texts(evaluation, "class_names");
  map.values = shares_of(result, map.rows.size());
  if (map.values.empty() || map.rows.size() > kMostDrawn) return std::nullopt;
  map.caption =
      "Of a hundred images of a class (row), how many are taken for each class (column): " +
      of_students(result) + ".";
  for (const auto& row : map.values) {
    std::vector<std::string>& shown = map.texts.emplace_back();
    for (const double share : row)
      shown.push_back(share >= 0.005 ? fmt::format("{:.0f}", 100 * share) : "");
  }
  return map;
}

std::optional<Table> confused_pairs(const Json& evaluation, const Json& result) {
  const auto names = texts(evaluation, "class_names");
  const auto shares = shares_of(result, names.size());
  if (shares.empty() || names.size() <= kMostNamed) return std::nullopt;
  std::vector<std::tuple<double, size_t, size_t>> pairs;
  for (size_t c = 0; c < names.size(); ++c)
    for (size_t other = 0; other < names.size(); ++other)
      if (c != other && shares[c][other] > 0) pairs.emplace_back(-shares[c][other], c, other);
  std::sort(pairs.begin(), pairs.end());
  if (pairs.size() > kPairs) pairs.resize(kPairs);
  Table table;
  table.caption =
      "The most frequent confusions: of a hundred images of a class, how many are taken "
      "for another; " +
      of_students(result) + ".";
  table.head = {"Class", "Taken for", "Of a hundred"};
  table.percent_column = 2;
  for (const auto& [share, c, other] : pairs)
    table.rows.push_back({names[c], names[other], fmt::format("{:.1f}", -100 * share)});
  return table;
}

}  // namespace retort::report
