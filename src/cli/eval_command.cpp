// retort eval: a bundle, or a run's, judged by its protocol.
#include <fmt/format.h>

#include <limits>
#include <ostream>

#include "cli/arguments.h"
#include "cli/evaluation.h"
#include "cli/run_report.h"
#include "cli/taken_over.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/redraw.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort eval runs/a --data shapes\n"
    "  retort eval runs/a --data cifar-10-batches-bin --networks convnet,alexnet,vgg11,resnet18 "
    "--students 5\n"
    "  retort eval runs/a --data shapes --protocol rded --teacher teacher.safetensors\n"
    "  retort eval runs/c --data my_images/ --part validation   # of a run with "
    "--validation-fraction\n";

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

/// --network, as the other commands have it, is --networks here.
Arguments with_networks(Arguments arguments) {
  for (std::string& word : arguments)
    if (word == "--network" || word.starts_with("--network=")) word.insert(9, "s");
  return arguments;
}

/// True where the protocol takes a teacher's labels.
bool taught(const synthetic::Bundle& bundle, const eval::EvalOptions& options) {
  const std::string& name = options.protocol.empty() ? bundle.protocol : options.protocol;
  for (const eval::Protocol& protocol : eval::protocols())
    if (protocol.name == name) return protocol.post.has_value();
  return false;
}

/// Where chance chose the set: another choice for every student, each by a seed of its own.
eval::Redraw redraw_of(const Environment& environment, const synthetic::Bundle& bundle,
                       const data::Dataset& data, const eval::EvalOptions& options,
                       at::Device device) {
  if (!options.redraw || !methods::can_choose_again(bundle, data)) return {};
  return [&environment, &bundle, &data, &options, device](int64_t student) {
    environment.err << fmt::format("choosing images by '{}' for student {} of {}\n", bundle.method,
                                   student + 1, options.students);
    return methods::choose_again(bundle, data,
                                 static_cast<uint64_t>(bundle.seed) +
                                     1'000'003 * static_cast<uint64_t>(options.seed) +
                                     static_cast<uint64_t>(student),
                                 device, environment.progress());
  };
}

}  // namespace

int run_eval(const Environment& environment, const Arguments& arguments) {
  data::DataOptions data_options;
  eval::EvalOptions options;
  MachineOptions machine;
  std::string target;
  OptionSet set;
  set.group("Evaluation");
  options.declare(set);
  set.group("Data");
  data_options.declare(set);
  machine.declare(set);
  const Usage usage{"eval",
                    "Trains fresh students on a set and tests them, beside random real images.",
                    kExamples};
  if (!parse(environment, usage, with_networks(arguments), set,
             {{"bundle", "a run folder or a bundle (.safetensors)", &target, true}}))
    return 0;
  take_run_options(target, set);
  for (const std::string& file : {options.teacher, options.student_labels})
    take_split_of(file, set);
  const at::Device device = machine.apply(environment);
  const bool is_run = std::filesystem::is_directory(target);
  const std::filesystem::path folder = target;
  const std::filesystem::path file = bundle_of(target);
  if (is_run) read_records(folder / "records.jsonl");  // a damaged one is refused before the work
  synthetic::Bundle bundle = synthetic::load_bundle(file);
  const data::Dataset data =
      data::open_dataset(data_options, is_run ? folder / "cache" : std::filesystem::path());
  check_split_of(environment, bundle, "evaluating", target, data);
  synthetic::fill_preprocessing(bundle, data);
  const std::filesystem::path labels = folder / "labels.safetensors";
  if (is_run && options.student_labels == "auto" && taught(bundle, options) &&
      std::filesystem::exists(labels))
    options.student_labels = labels.string();
  const eval::Evaluation evaluation =
      eval::evaluate(bundle, data, options, device, environment.progress(), environment.stop,
                     redraw_of(environment, bundle, data, options, device));
  if (environment.stop && environment.stop->requested()) {
    environment.err << "stopped: nothing is recorded of this evaluation\n";
    return kStopped;
  }
  Json record = to_json(evaluation);
  record["split"] = data.split.words();
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
