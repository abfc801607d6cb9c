// retort eval: a bundle, or a run's, judged by its protocol.
#include <limits>
#include <ostream>

#include "cli/arguments.h"
#include "cli/run_report.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort eval runs/a --data shapes\n"
    "  retort eval runs/a --data cifar-10-batches-bin --networks convnet,alexnet,vgg11,resnet18 "
    "--students 5\n"
    "  retort eval distilled.safetensors --data my_images/ --part validation --validation-fraction "
    "0.2\n";

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

/// DataOptions of the run that made the bundle, where the folder has them: the same preprocessing
/// and splits without repeating flags. Flags given now override them.
void take_run_options(const std::filesystem::path& recipe, OptionSet& options) {
  Problems ignored;
  for (const auto& [key, text] : read_flat_toml(recipe.string()))
    if (options.find(key)) options.set(key, text, recipe.string(), ignored);
}

/// Adds the evaluation to a run's records and page; where that fails, its figures still come out.
std::filesystem::path keep(const Environment& environment, const std::filesystem::path& folder,
                           const Json& record) {
  try {
    RecordWriter(folder / "records.jsonl", std::numeric_limits<int64_t>::max()).write(record);
    return write_report(folder);
  } catch (const Error&) {
    environment.err << "the evaluation could not be kept: " << json_text(record) << "\n";
    throw;
  }
}

/// The first argument that is neither a flag nor a flag's value.
std::string peek_target(const Arguments& arguments) {
  return !arguments.empty() && !arguments[0].starts_with("-") ? arguments[0] : std::string();
}

}  // namespace

int run_eval(const Environment& environment, const Arguments& arguments) {
  data::DataOptions data_options;
  eval::EvalOptions options;
  MachineOptions machine;
  std::string target;
  OptionSet data_set, set;
  data_options.declare(data_set);
  const std::filesystem::path peeked = peek_target(arguments);
  if (!peeked.empty() && std::filesystem::exists(peeked / "recipe.toml"))
    take_run_options(peeked / "recipe.toml", data_set);
  set.group("Evaluation");
  options.declare(set);
  set.group("Data");
  data_options.declare(set);
  machine.declare(set);
  const Usage usage{"eval",
                    "Trains fresh students on a set and tests them, beside random real images.",
                    kExamples};
  if (!parse(environment, usage, arguments, set,
             {{"bundle", "a run folder or a bundle (.safetensors)", &target, true}}))
    return 0;
  const at::Device device = machine.apply(environment);
  const bool is_run = std::filesystem::is_directory(target);
  const std::filesystem::path folder = target;
  const std::filesystem::path file = bundle_of(target);
  if (is_run) read_records(folder / "records.jsonl");  // a damaged one is refused before the work
  synthetic::Bundle bundle = synthetic::load_bundle(file);
  const data::Dataset data =
      data::open_dataset(data_options, is_run ? folder / "cache" : std::filesystem::path());
  synthetic::fill_preprocessing(bundle, data);
  const eval::Evaluation evaluation =
      eval::evaluate(bundle, data, options, device, environment.progress(), environment.stop);
  if (environment.stop && environment.stop->requested()) {
    environment.err << "stopped: nothing is recorded of this evaluation\n";
    return kStopped;
  }
  const Json record = to_json(evaluation);
  std::filesystem::path page;
  if (is_run) page = keep(environment, folder, record);
  if (machine.json) {
    environment.out << json_text(record, 2) << "\n";
    return 0;
  }
  print_table(environment, evaluation);
  if (is_run) environment.out << "report: " << page.string() << "\n";
  return 0;
}

}  // namespace retort::cli
