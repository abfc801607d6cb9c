// No torch here.
#include "report/compared.h"

#include <cmath>

#include "core/mean.h"
#include "report/evaluations.h"

namespace retort::report {
namespace {

std::vector<double> numbers(const Json& list) {
  std::vector<double> found;
  if (!list.is_array()) return found;
  for (const Json& one : list)
    if (one.is_number()) found.push_back(one.get<double>());
  return found;
}

/// The means of the sets where there are several, else the accuracies of the students.
std::vector<double> values_of(const Json& result) {
  const auto sets = result.find("sets");
  if (sets == result.end() || !sets->is_array())
    return numbers(result.value("accuracies", Json::array()));
  std::vector<double> means;
  for (const Json& one : *sets)
    if (one.is_object())
      means.push_back(mean_deviation(numbers(one.value("accuracies", Json::array()))).mean);
  return means;
}

Reached reached(const Json& result) {
  Reached found;
  const std::vector<double> values = values_of(result);
  found.labels = text(result, "labels");
  if (values.empty()) {  // records of old: a mean alone
    found.interval.mean = number(result, "mean");
    found.deviation = number(result, "deviation");
    return found;
  }
  found.interval = interval_of(values);
  if (values.size() > 1) found.deviation = mean_deviation(values).deviation;
  return found;
}

const Json* find(const Json& results, const std::string& subject, const std::string& network) {
  for (const Json& result : results)
    if (text(result, "subject") == subject && text(result, "network") == network) return &result;
  return nullptr;
}

/// What a run says of itself, and what all of its sets cost.
ComparedRow row_of(const ComparedRun& run) {
  const std::vector<Json>& own = run.sets.empty() ? run.records : run.sets.front();
  ComparedRow row;
  row.run = run.name;
  for (const Json& record : own) {
    if (!record.is_object() || text(record, "kind") != "run") continue;
    row.method = text(record, "method");
    row.made_with = text(record, "network");
    row.data = text(record, "data");
    row.data_hash = text(record, "data_hash");
    row.version = text(record, "program_version");
    row.images = number(record, "images");
    row.image_bytes = number(record, "storage_bytes");
  }
  row.costs = costs_of(own);
  for (size_t i = 1; i < run.sets.size(); ++i) {
    const Costs more = costs_of(run.sets[i]);
    row.costs.seconds += more.seconds;
    row.costs.peak_memory = std::fmax(row.costs.peak_memory, more.peak_memory);
  }
  return row;
}

void take_evaluation(ComparedRow& row, const Json& evaluation) {
  row.protocol = text(evaluation, "protocol");
  row.part = text(evaluation, "part");
  row.split = text(evaluation, "split");
  row.seed = text(evaluation, "seed");
  row.date = text(evaluation, "date");
  row.soft_labels = flag(evaluation, "soft_labels", false);
  row.test_images = number(evaluation, "test_images");
  if (row.data.empty()) row.data = text(evaluation, "data");
  if (row.data_hash.empty()) row.data_hash = text(evaluation, "data_hash");
}

void take_result(ComparedRow& row, const Json& result, const Json& results) {
  row.network = text(result, "network");
  row.set = reached(result);
  if (const Json* random = find(results, "random", row.network)) row.random = reached(*random);
  if (const Json* whole = find(results, "whole set", row.network)) row.whole = reached(*whole);
  row.students = static_cast<double>(numbers(result.value("accuracies", Json::array())).size());
  const auto sets = result.find("sets");
  if (sets != result.end() && sets->is_array()) {
    row.sets = static_cast<double>(sets->size());
    row.students /= row.sets;
    row.over_sets = number(result, "deviation_over_sets");
    row.over_students = number(result, "deviation_over_students");
  }
  row.images = number(result, "images");
  row.image_bytes = number(result, "image_bytes");
  row.label_bytes = number(result, "label_bytes");
  row.teacher_bytes = number(result, "teacher_bytes");
}

}  // namespace

std::string protocol_of(const std::string& recipe) {
  constexpr std::string_view kKey = "protocol = \"";
  const size_t line = recipe.starts_with(kKey) ? 0 : recipe.find("\n" + std::string(kKey));
  if (line == std::string::npos) return {};
  const size_t begin = recipe.find('"', line) + 1;
  return recipe.substr(begin, recipe.find('"', begin) - begin);
}

std::vector<ComparedRow> compared(const std::vector<ComparedRun>& runs) {
  std::vector<ComparedRow> rows;
  for (const ComparedRun& run : runs) {
    const Json evaluation = evaluations_of(run.records, protocol_of(run.recipe)).evaluation;
    ComparedRow row = row_of(run);
    if (evaluation.is_null()) {
      rows.push_back(std::move(row));
      continue;
    }
    take_evaluation(row, evaluation);
    for (const Json& result : evaluation.at("results")) {
      if (text(result, "subject") != "distilled") continue;
      ComparedRow& one = rows.emplace_back(row);
      take_result(one, result, evaluation.at("results"));
    }
  }
  return rows;
}

}  // namespace retort::report
