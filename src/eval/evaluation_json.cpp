// What records keep of an evaluation.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "retort/eval/evaluate.h"

namespace retort::eval {
namespace {

/// "2026-03-01 14:05 UTC". Records alone say when: tensors are the same whenever they are made.
std::string date_now() {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
}

/// Counts [K, K] as a list of rows; nothing of many classes, whose counts would be megabytes.
Json confusion_json(const std::vector<int64_t>& counts, size_t classes) {
  constexpr size_t kMost = 200;
  Json rows = Json::array();
  if (classes > kMost || counts.size() != classes * classes) return rows;
  for (size_t c = 0; c < classes; ++c) {
    const auto row = counts.begin() + static_cast<std::ptrdiff_t>(c * classes);
    rows.push_back(std::vector<int64_t>(row, row + static_cast<std::ptrdiff_t>(classes)));
  }
  return rows;
}

}  // namespace

// The code of DC and DM, whose schedule is "drop", makes one more than it has epochs.
int64_t passes_of(const Evaluation& evaluation, const Result& result) {
  for (const Protocol& protocol : protocols()) {
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

Json to_json(const Evaluation& evaluation) {
  Json results = Json::array();
  for (const Result& result : evaluation.results)
    results.push_back(
        {{"subject", result.subject},
         {"network", result.network},
         {"accuracies", result.accuracies},
         {"mean", result.mean()},
         {"deviation", result.deviation()},
         {"balanced", result.balanced()},
         {"class_accuracies", result.class_accuracies},
         {"confusion", confusion_json(result.confusion, evaluation.class_names.size())},
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

std::function<Json(const synthetic::Bundle&)> validator(const data::Dataset& data, int64_t seed,
                                                        at::Device device) {
  return [&data, seed, device](const synthetic::Bundle& bundle) {
    EvalOptions options;
    options.students = 1;
    options.part = "validation";
    options.random_baseline = false;
    options.seed = seed;
    const Result result = evaluate(bundle, data, options, device).results.at(0);
    return Json{{"network", result.network},
                {"mean", result.mean()},
                {"deviation", result.deviation()},
                {"students", options.students}};
  };
}

}  // namespace retort::eval
