// retort eval: a bundle, or a run's, judged by its protocol.
#include "cli/eval_command.h"

#include <fmt/format.h>

#include <limits>
#include <ostream>

#include "cli/eval_sets.h"
#include "cli/evaluation.h"
#include "cli/host.h"
#include "cli/run_report.h"
#include "cli/sets_folder.h"
#include "cli/taken_over.h"
#include "retort/core/error.h"

namespace retort::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort eval runs/a --data shapes\n"
    "  retort eval runs/a --data cifar-10-batches-bin --networks convnet,alexnet,vgg11,resnet18 "
    "--students 5\n"
    "  retort eval runs/a --data shapes --protocol rded --teacher teacher.safetensors\n"
    "  retort eval runs/c --data my_images/ --part validation   # of a run with "
    "--validation-fraction\n";

/// --network, as the other commands have it, is --networks here.
Arguments with_networks(Arguments arguments) {
  for (std::string& word : arguments)
    if (word == "--network" || word.starts_with("--network="))
      word = fmt::format("--networks{}", word.substr(9));
  return arguments;
}

/// True where the protocol takes a teacher's labels.
bool taught(const synthetic::Bundle& bundle, const eval::EvalOptions& options) {
  const std::string& name = options.protocol.empty() ? bundle.protocol : options.protocol;
  for (const eval::Protocol& protocol : eval::protocols())
    if (protocol.name == name) return protocol.post.has_value();
  return false;
}

}  // namespace

void take_stored_labels(const fs::path& folder, const synthetic::Bundle& bundle,
                        eval::EvalOptions& options) {
  const fs::path labels = folder / "labels.safetensors";
  if (options.student_labels == "auto" && taught(bundle, options) && fs::exists(labels))
    options.student_labels = labels.string();
}

fs::path keep_evaluation(const Environment& environment, const fs::path& folder,
                         const Json& record) {
  try {
    RecordWriter(folder / "records.jsonl", std::numeric_limits<int64_t>::max()).write(record);
    return write_report(folder);
  } catch (const Error&) {
    environment.err << "the evaluation could not be kept: " << json_text(record) << "\n";
    throw;
  }
}

EvalSettings::EvalSettings() {
  set.group("Evaluation");
  options.declare(set);
  set.group("Data");
  data.declare(set);
  machine.declare(set);
}

std::optional<Evaluated> evaluated(const Environment& environment, EvalSettings& settings) {
  take_run_options(settings.target, settings.set);
  for (const std::string& file : {settings.options.teacher, settings.options.student_labels})
    take_split_of(file, settings.set);
  const at::Device device = settings.machine.apply(environment);
  const fs::path folder = settings.target, file = bundle_of(settings.target);
  const bool is_run = fs::is_directory(folder);
  if (is_run) read_records(folder / "records.jsonl");  // a damaged one is refused before the work
  synthetic::Bundle bundle = synthetic::load_bundle(file);
  const data::Dataset data =
      open_data(environment, settings.data, is_run ? folder / "cache" : fs::path());
  fit_to_data(environment, "evaluating", settings.target, data, bundle);
  if (is_run) take_stored_labels(folder, bundle, settings.options);
  if (environment.host) settings.options.learners = environment.host->learners;
  eval::Evaluation evaluation =
      eval::evaluate(bundle, data, settings.options, device, environment.progress(),
                     environment.stop, *environment.group);
  if (environment.group->any(environment.stop && environment.stop->requested())) {
    environment.err << "stopped: nothing is recorded of this evaluation\n";
    return {};
  }
  Json record = to_json(evaluation);
  record["split"] = data.split.words();
  return Evaluated{std::move(evaluation), std::move(record)};
}

std::optional<Json> judge(const Environment& environment, EvalSettings& settings) {
  if (!sets_in(settings.target).empty()) return judge_sets(environment, settings);
  const std::optional<Evaluated> found = evaluated(environment, settings);
  if (!found) return {};
  const Json& record = found->record;
  if (!environment.group->first()) return record;
  const bool is_run = fs::is_directory(settings.target);
  fs::path page;
  if (is_run) page = keep_evaluation(environment, settings.target, record);
  if (settings.machine.json) {
    environment.out << json_text(record, 2) << "\n";
    return record;
  }
  print_table(environment, found->evaluation);
  if (is_run) environment.out << "report: " << page.string() << "\n";
  return record;
}

int run_eval(const Environment& environment, const Arguments& arguments) {
  EvalSettings settings;
  const Usage usage{"eval",
                    "Trains fresh students on a set and tests them, beside random real images.",
                    kExamples};
  if (!parse(environment, usage, with_networks(arguments), settings.set,
             {{"bundle", "a run folder, a folder of --seeds, or a bundle (.safetensors)",
               &settings.target, true}}))
    return 0;
  return judge(environment, settings) ? 0 : kStopped;
}

}  // namespace retort::cli
