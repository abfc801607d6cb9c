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

void print_table(const Environment& environment, const eval::Evaluation& evaluation) {
  std::vector<std::vector<std::string>> rows{
      {"network", "trained on", "images", "steps", "accuracy %", "students"}};
  for (const eval::Result& result : evaluation.results)
    rows.push_back({result.network, result.subject, std::to_string(result.images),
                    std::to_string(result.steps), percent(result.mean(), result.deviation()),
                    std::to_string(result.accuracies.size())});
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
