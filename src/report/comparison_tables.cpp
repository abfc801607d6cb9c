// The tables of runs side by side, for the page and for LaTeX, and all figures as CSV. No torch
// here.
#include "report/comparison_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "report/comparison.h"
#include "report/tabulate.h"

namespace retort::report {
namespace {

std::string interval(const Interval& one) {
  return std::isfinite(one.low) ? fmt::format("{:.1f} to {:.1f}", 100 * one.low, 100 * one.high)
                                : "";
}

std::string points_of(double fraction) {
  return std::isfinite(fraction) ? fmt::format("{:.1f}", 100 * fraction) : "";
}

std::string reached(const Reached& one) {
  return one.there() ? percent(one.interval.mean, one.deviation) : "";
}

/// A column that is shown where any row has it.
struct Column {
  std::string title;
  std::function<std::string(const ComparedRow&)> cell;
};

/// A table of the columns that say anything.
Table table_of(std::vector<Column> columns, const std::vector<ComparedRow>& rows,
               const std::string& caption) {
  std::erase_if(columns, [&](const Column& column) {
    return std::all_of(rows.begin(), rows.end(),
                       [&](const ComparedRow& row) { return column.cell(row).empty(); });
  });
  Table table;
  table.caption = caption;
  for (const Column& column : columns) table.head.push_back(column.title);
  for (const ComparedRow& row : rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (const Column& column : columns) cells.push_back(column.cell(row));
  }
  return table;
}

/// The first row of every run.
std::vector<ComparedRow> each_once(const std::vector<ComparedRow>& rows) {
  std::vector<ComparedRow> once;
  for (const ComparedRow& row : rows)
    if (once.empty() || once.back().run != row.run) once.push_back(row);
  return once;
}

std::string students_of(const ComparedRow& row) {
  return row.sets > 1 ? fmt::format("{} x {}", whole(row.sets), whole(row.students))
                      : whole(row.students);
}

using CsvCell = std::pair<std::string, std::string>;

/// Mean, deviation and interval in columns that the kind of labels names.
void add_reached(std::vector<CsvCell>& cells, const std::string& name, const Reached& one,
                 bool soft) {
  for (const bool kind : {false, true}) {
    const std::string begin = name + (kind ? "_soft_" : "_hard_");
    const bool here = kind == soft;
    cells.emplace_back(begin + "mean", here ? csv_number(one.interval.mean) : "");
    cells.emplace_back(begin + "deviation", here ? csv_number(one.deviation) : "");
    cells.emplace_back(begin + "low", here ? csv_number(one.interval.low) : "");
    cells.emplace_back(begin + "high", here ? csv_number(one.interval.high) : "");
  }
}

std::vector<CsvCell> csv_cells(const ComparedRow& row) {
  std::vector<CsvCell> cells = {{"run", row.run},
                                {"method", row.method},
                                {"made_with", row.made_with},
                                {"data", row.data},
                                {"data_hash", row.data_hash},
                                {"split", row.split},
                                {"protocol", row.protocol},
                                {"part", row.part},
                                {"test_images", csv_number(row.test_images)},
                                {"seed", row.seed},
                                {"date", row.date},
                                {"network", row.network},
                                {"sets", row.network.empty() ? "" : csv_number(row.sets)},
                                {"students", csv_number(row.students)},
                                {"labels", row.set.labels}};
  add_reached(cells, "accuracy", row.set, row.soft_labels);
  cells.emplace_back("deviation_over_sets", csv_number(row.over_sets));
  cells.emplace_back("deviation_over_students", csv_number(row.over_students));
  const std::string& theirs = row.random.labels;  // older records do not say: hard ones
  add_reached(cells, "random", row.random, !theirs.empty() && theirs != "hard");
  cells.emplace_back("whole_set_mean", csv_number(row.whole.interval.mean));
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, double>>{
           {"images", row.images},
           {"image_bytes", row.image_bytes},
           {"label_bytes", row.label_bytes},
           {"teacher_bytes", row.teacher_bytes},
           {"seconds", row.costs.seconds},
           {"peak_memory_bytes", row.costs.peak_memory},
           {"needed_bytes", row.costs.needed_bytes()},
           {"seconds_in_all", row.costs.whole_seconds()},
           {"peak_memory_bytes_in_all", row.costs.whole_peak()}})
    cells.emplace_back(name, csv_number(value));
  return cells;
}

}  // namespace

Table accuracy_table(const std::vector<ComparedRow>& rows, bool soft_labels) {
  std::vector<ComparedRow> mine;
  for (const ComparedRow& row : rows)
    if (!row.network.empty() && row.soft_labels == soft_labels) mine.push_back(row);
  if (mine.empty()) return {};
  const bool sets =
      std::any_of(mine.begin(), mine.end(), [](const ComparedRow& row) { return row.sets > 1; });
  Table table = table_of(
      {{"Run", [](const ComparedRow& row) { return row.run; }},
       {"Network", [](const ComparedRow& row) { return row.network; }},
       {"Protocol", [](const ComparedRow& row) { return row.protocol; }},
       {"Accuracy, %", [](const ComparedRow& row) { return reached(row.set); }},
       {"Interval of 95 %", [](const ComparedRow& row) { return interval(row.set.interval); }},
       {"± over sets", [](const ComparedRow& row) { return points_of(row.over_sets); }},
       {"± over students", [](const ComparedRow& row) { return points_of(row.over_students); }},
       {"Random images, %", [](const ComparedRow& row) { return reached(row.random); }},
       {"Points above",
        [](const ComparedRow& row) {
          return row.random.there() ? points(row.set.interval.mean - row.random.interval.mean) : "";
        }},
       {"Whole set, %", [](const ComparedRow& row) { return reached(row.whole); }},
       {sets ? "Sets x students" : "Students", students_of}},
      mine,
      std::string("Accuracy on the test part in percent; ") +
          (soft_labels ? "soft labels, learned or of a teacher." : "hard labels."));
  table.percent_column = 3;
  return table;
}

Table cost_table(const std::vector<ComparedRow>& rows) {
  const auto bytes = [](double value) { return value > 0 ? size_text(value) : std::string(); };
  return table_of(
      {{"Run", [](const ComparedRow& row) { return row.run; }},
       {"Method", [](const ComparedRow& row) { return row.method; }},
       {"Images", [](const ComparedRow& row) { return whole(row.images); }},
       {"Stored images", [&](const ComparedRow& row) { return bytes(row.image_bytes); }},
       {"Stored labels", [&](const ComparedRow& row) { return bytes(row.label_bytes); }},
       {"Teacher to be there", [&](const ComparedRow& row) { return bytes(row.teacher_bytes); }},
       {"Time", [](const ComparedRow& row) { return duration(row.costs.seconds); }},
       {"Made for it", [](const ComparedRow& row) { return row.costs.words(); }},
       {"Its bytes", [&](const ComparedRow& row) { return bytes(row.costs.needed_bytes()); }},
       {"Time in all",
        [](const ComparedRow& row) {
          return row.costs.needed.empty() ? "" : duration(row.costs.whole_seconds());
        }},
       {"Peak memory", [&](const ComparedRow& row) { return bytes(row.costs.peak_memory); }},
       {"Peak in all",
        [&](const ComparedRow& row) {
          return row.costs.needed.empty() ? "" : bytes(row.costs.whole_peak());
        }}},
      each_once(rows),
      "What a set takes, and what it cost: time and peak memory of the distillation alone, and in "
      "all, "
      "with the experts and teachers that were made for it. Times are as they were measured, on "
      "whatever machine that was; of several sets they are sums.");
}

Table evaluation_table(const std::vector<ComparedRow>& rows) {
  return table_of(
      {{"Run", [](const ComparedRow& row) { return row.run; }},
       {"Data", [](const ComparedRow& row) { return row.data; }},
       {"Made with", [](const ComparedRow& row) { return row.made_with; }},
       {"Protocol", [](const ComparedRow& row) { return row.protocol; }},
       {"Split", [](const ComparedRow& row) { return row.split; }},
       {"Part", [](const ComparedRow& row) { return row.part; }},
       {"Images tested on", [](const ComparedRow& row) { return whole(row.test_images); }},
       {"Seed", [](const ComparedRow& row) { return row.seed; }},
       {"Date", [](const ComparedRow& row) { return row.date; }}},
      each_once(rows), "What the accuracies are of.");
}

std::string comparison_csv(const std::vector<ComparedRun>& runs) {
  std::vector<std::vector<CsvCell>> rows;
  for (const ComparedRow& row : compared(runs)) rows.push_back(csv_cells(row));
  return csv_of(rows);
}

std::string comparison_latex(const std::vector<ComparedRun>& runs) {
  const std::vector<ComparedRow> rows = compared(runs);
  std::string out;
  for (const bool soft : {false, true})
    if (const Table table = accuracy_table(rows, soft); !table.rows.empty())
      out += latex_table(table) + "\n";
  return out + latex_table(cost_table(rows));
}

}  // namespace retort::report
