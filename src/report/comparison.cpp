// The page of runs side by side. No torch here.
#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/compared.h"
#include "report/comparison_tables.h"

namespace retort::report {
namespace {

/// What keeps figures from being compared.
std::vector<std::string> differences(const std::vector<ComparedRow>& rows) {
  std::set<std::string> protocols, data, parts;
  for (const ComparedRow& row : rows) {
    if (row.network.empty()) continue;
    protocols.insert(row.protocol);
    data.insert(row.data + " " + row.data_hash);
    parts.insert(row.part + ", " + whole(row.test_images) + " images");
  }
  std::vector<std::string> notes;
  const auto note = [&](const std::set<std::string>& some, const std::string& text) {
    if (some.size() > 1) notes.push_back(text);
  };
  note(data, "The runs are of different data: their accuracies do not compare.");
  note(parts, "They are tested on different parts or numbers of images.");
  note(protocols,
       "Students are trained by different protocols: a difference may be the protocol's.");
  return notes;
}

bool any_sets(const std::vector<ComparedRow>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const ComparedRow& row) { return row.sets > 1; });
}

std::string summary_of(const std::vector<ComparedRun>& runs, const std::vector<ComparedRow>& rows) {
  std::set<std::string> data;
  for (const ComparedRow& row : rows)
    if (!row.data.empty()) data.insert(row.data);
  std::string text = count(static_cast<double>(runs.size()), "run");
  std::string names;
  for (const std::string& one : data) names += (names.empty() ? "" : ", ") + one;
  if (!names.empty()) text += " on " + names;
  return text +
         ". Every accuracy is that of the evaluation which speaks for its set: the whole one "
         "by the protocol that the set was made for, where there is one.";
}

}  // namespace

Page comparison_page(const std::vector<ComparedRun>& runs) {
  const std::vector<ComparedRow> rows = compared(runs);
  Page page;
  page.title = runs.size() == 1 ? runs.front().name : "Runs side by side";
  page.summary = summary_of(runs, rows);
  for (const ComparedRun& run : runs)
    page.pictures.insert(page.pictures.end(), run.pictures.begin(), run.pictures.end());
  for (const bool soft : {false, true}) {
    Table table = accuracy_table(rows, soft);
    if (!table.rows.empty()) page.tables.push_back(std::move(table));
  }
  page.tables.push_back(cost_table(rows));
  page.tables.push_back(evaluation_table(rows));
  page.tables_title = "Accuracy and cost";
  page.notes = differences(rows);
  page.notes.emplace_back(
      "Accuracy: mean ± population standard deviation. The interval of 95 % is that of the mean, "
      "by "
      "Student's distribution.");
  if (any_sets(rows))
    page.notes.emplace_back(
        "Of several sets of one recipe, the deviation and the interval are over the means of the "
        "sets; over students is the root of the mean variance among the students of a set, which "
        "begin at the same parameters for every set.");
  for (const ComparedRow& row : rows)
    if (row.network.empty()) page.notes.push_back(row.run + " has not been evaluated yet.");
  return page;
}

}  // namespace retort::report
