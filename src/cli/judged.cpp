#include "cli/judged.h"

#include <fmt/format.h>

#include <filesystem>
#include <ostream>

namespace retort::cli {

Json to_json(const eval::Evaluation& evaluation) {
  Json results = Json::array();
  for (const eval::Result& result : evaluation.results)
    results.push_back({{"subject", result.subject},
                       {"network", result.network},
                       {"accuracies", result.accuracies},
                       {"mean", result.mean()},
                       {"deviation", result.deviation()},
                       {"averaged", result.averaged},
                       {"best", result.best},
                       {"labels", result.labels},
                       {"image_bytes", result.image_bytes},
                       {"label_bytes", result.label_bytes},
                       {"teacher_bytes", result.teacher_bytes},
                       {"seconds", result.seconds},
                       {"epochs", result.epochs},
                       {"images", result.images},
                       {"steps", result.steps}});
  return {{"kind", "evaluation"},
          {"protocol", evaluation.protocol},
          {"part", evaluation.part},
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

std::string percent_of(const std::vector<double>& accuracies) {
  const auto [mean, deviation] = eval::spread(accuracies);
  return accuracies.empty() ? "-" : percent(mean, deviation);
}

}  // namespace

void print_table(const Environment& environment, const eval::Evaluation& evaluation) {
  bool averaged = false, best = false;
  for (const eval::Result& result : evaluation.results) {
    averaged = averaged || !result.averaged.empty();
    best = best || !result.best.empty();
  }
  std::vector<std::string> head{"network", "trained on", "images", "steps", "accuracy %"};
  if (averaged) head.push_back("moving average %");
  if (best) head.push_back("best epoch %");
  head.insert(head.end(), {"image bytes", "labels", "students"});
  std::vector<std::vector<std::string>> rows{head};
  for (const eval::Result& result : evaluation.results) {
    std::vector<std::string> row{result.network, result.subject, std::to_string(result.images),
                                 std::to_string(result.steps),
                                 percent(result.mean(), result.deviation())};
    if (averaged) row.push_back(percent_of(result.averaged));
    if (best) row.push_back(percent_of(result.best));
    row.insert(row.end(), {bytes_text(result.image_bytes), labels_text(result),
                           std::to_string(result.accuracies.size())});
    rows.push_back(row);
  }
  environment.out << fmt::format("{} images, protocol {}, {} labels, tested on the {} part\n\n",
                                 evaluation.training_images, evaluation.protocol,
                                 evaluation.soft_labels ? "soft" : "hard", evaluation.part)
                  << aligned(rows) << "\n";
}

void take_run_options(const Arguments& arguments, OptionSet& options) {
  if (arguments.empty() || arguments[0].starts_with("-")) return;
  const std::filesystem::path recipe = std::filesystem::path(arguments[0]) / "recipe.toml";
  if (!std::filesystem::exists(recipe)) return;
  Problems ignored;
  for (const auto& [key, text] : read_flat_toml(recipe.string()))
    if (options.find(key)) options.set(key, text, recipe.string(), ignored);
}

}  // namespace retort::cli
