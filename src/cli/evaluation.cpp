#include "cli/evaluation.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <ostream>

namespace retort::cli {

namespace {

/// "2026-03-01 14:05 UTC". Records alone say when: tensors are the same whenever they are made.
std::string date_now() {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
}

/// Passes over the images: the code of DC and DM, whose schedule is "drop", makes one more than it
/// has epochs.
int64_t passes_of(const eval::Evaluation& evaluation, const eval::Result& result) {
  for (const eval::Protocol& protocol : eval::protocols()) {
    const bool shortened = evaluation.protocol.starts_with(protocol.name + " with ");
    if (protocol.name != evaluation.protocol && !shortened) continue;
    train::TrainOptions training = protocol.training;
    training.epochs = result.epochs;
    const int64_t passes = train::passes(training);
    // A set with a rate for each step has as many steps as rates.
    if (result.steps % passes == 0) return passes;
  }
  return result.epochs;
}

}  // namespace

Json to_json(const eval::Evaluation& evaluation) {
  Json results = Json::array();
  for (const eval::Result& result : evaluation.results)
    results.push_back({{"subject", result.subject},
                       {"network", result.network},
                       {"accuracies", result.accuracies},
                       {"mean", result.mean()},
                       {"deviation", result.deviation()},
                       {"balanced", result.balanced()},
                       {"class_accuracies", result.class_accuracies},
                       {"draws", result.draws},
                       {"averaged", result.averaged},
                       {"best", result.best},
                       {"labels", result.labels},
                       {"image_bytes", result.image_bytes},
                       {"label_bytes", result.label_bytes},
                       {"teacher_bytes", result.teacher_bytes},
                       {"seconds", result.seconds},
                       {"epochs", result.epochs},
                       {"passes", passes_of(evaluation, result)},
                       {"images", result.images},
                       {"steps", result.steps}});
  return {{"kind", "evaluation"},
          {"protocol", evaluation.protocol},
          {"shortened", evaluation.shortened},
          {"part", evaluation.part},
          {"data", evaluation.data},
          {"data_hash", evaluation.data_hash},
          {"class_names", evaluation.class_names},
          {"test_images", evaluation.test_images},
          {"seed", evaluation.seed},
          {"date", date_now()},
          {"notes", evaluation.notes},
          {"students", evaluation.students},
          {"training_images", evaluation.training_images},
          {"soft_labels", evaluation.soft_labels},
          {"results", results}};
}

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
  const auto [mean, deviation] = eval::spread(accuracies);
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
  if (const int64_t passes = passes_of(evaluation, first); passes > first.epochs)
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
