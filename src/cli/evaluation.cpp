#include "cli/evaluation.h"
#include "core/mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

namespace retort::cli {
namespace {

std::string bytes_text(int64_t bytes) {
  return format_bytes(static_cast<double>(bytes));
}

/// "stored, 2.0 MB" beside "live, 0 B (teacher 1.1 MB)".
std::string labels_text(const eval::Result& result) {
  std::string text = result.labels + ", " + bytes_text(result.label_bytes);
  if (result.teacher_bytes > 0) text += " (teacher " + bytes_text(result.teacher_bytes) + ")";
  return text;
}

/// Without a deviation where there is one student.
std::string percent_of(const std::vector<double>& accuracies) {
  if (accuracies.empty()) return "-";
  if (accuracies.size() == 1) return fmt::format("{:.1f}", 100 * accuracies[0]);
  const auto [mean, deviation] = mean_deviation(accuracies);
  return percent(mean, deviation);
}

/// A column that only some evaluations have.
struct Column {
  std::string title, meaning;
  std::string (*cell)(const eval::Result&);
  bool (*wanted)(const eval::Result&);
};

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"balanced %", "the mean over classes, whatever their numbers of images",
       [](const eval::Result& result) { return fmt::format("{:.1f}", 100 * result.balanced()); },
       [](const eval::Result& result) {
         return std::abs(result.balanced() - result.mean()) > 5e-4;
       }},
      {"averaged %", "of the same students, with a moving average of their parameters",
       [](const eval::Result& result) { return percent_of(result.averaged); },
       [](const eval::Result& result) { return !result.averaged.empty(); }},
      {"best epoch %", "of the last fifth of the epochs, chosen on the validation part",
       [](const eval::Result& result) { return percent_of(result.best); },
       [](const eval::Result& result) { return !result.best.empty(); }}};
  return all;
}

std::vector<Column> columns_of(const eval::Evaluation& evaluation) {
  std::vector<Column> wanted;
  for (const Column& column : columns())
    if (std::any_of(evaluation.results.begin(), evaluation.results.end(), column.wanted))
      wanted.push_back(column);
  return wanted;
}

}  // namespace

void print_table(const Environment& environment, const eval::Evaluation& evaluation) {
  const std::vector<Column> more = columns_of(evaluation);
  std::vector<std::vector<std::string>> rows{
      {"network", "trained on", "images", "steps", "accuracy %"}};
  for (const Column& column : more) rows[0].push_back(column.title);
  rows[0].insert(rows[0].end(), {"image bytes", "labels", "students", "draws"});
  for (const eval::Result& result : evaluation.results) {
    std::vector<std::string> row{result.network, result.subject, std::to_string(result.images),
                                 std::to_string(result.steps), percent_of(result.accuracies)};
    for (const Column& column : more) row.push_back(column.cell(result));
    row.insert(row.end(), {bytes_text(result.image_bytes), labels_text(result),
                           std::to_string(result.accuracies.size()), std::to_string(result.draws)});
    rows.push_back(row);
  }
  environment.out << fmt::format(
                         "{} image{}, protocol {}, {} labels, tested on {} images of the {} part, "
                         "seed {}\n\n",
                         evaluation.training_images, evaluation.training_images == 1 ? "" : "s",
                         evaluation.protocol, evaluation.soft_labels ? "soft" : "hard",
                         evaluation.test_images, evaluation.part, evaluation.seed)
                  << aligned(rows) << "\n";
  if (evaluation.students > 1)
    environment.out << "accuracy: mean ± standard deviation over students; draws: different "
                       "training sets among them\n";
  const eval::Result& first = evaluation.results.front();
  if (const int64_t passes = eval::passes_of(evaluation, first); passes > first.epochs)
    environment.out << fmt::format(
        "steps: batches of training; {0} epochs are {1} passes over the images, since the "
        "published "
        "code counts them from 0 to {0}\n",
        first.epochs, passes);
  for (const Column& column : more)
    environment.out << column.title << ": " << column.meaning << "\n";
  for (const std::string& note : evaluation.notes) environment.out << "note: " << note << "\n";
}

}  // namespace retort::cli
