// retort distill: options, data, loop, report.
#include <ostream>

#include "cli/arguments.h"
#include "cli/published_result.h"
#include "cli/run_report.h"
#include "cli/taken_over.h"
#include "retort/augment/siamese.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/registry.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort distill --method dm --data shapes --images-per-class 10 --iterations 500 "
    "--real-batch 64 --out runs/a\n"
    "  retort distill --method dm --data my_images/ --resolution 32 --images-per-class 1 "
    "--iterations 500 --real-batch 64 --out runs/b\n"
    "  retort distill --recipe recipes/dm/cifar10-ipc10.toml --data cifar-10-batches-bin --out "
    "runs/c\n\n"
    "A run that was stopped goes on when the same command is given again.\n"
    "Other methods take other options: retort distill --method NAME --help\n";

/// Everything that one command line of `distill` sets.
struct Settings {
  methods::DistillOptions loop;
  data::DataOptions data;
  MachineOptions machine;
  std::string out, recipe, memory_limit;
  std::unique_ptr<methods::Method> method;
  std::unique_ptr<synthetic::ParametrisationKind> parametrisation;
  OptionSet options;

  Settings(const std::string& method_name, const std::string& parametrisation_name) {
    loop.method = method_name;
    loop.parametrisation = parametrisation_name;
    parametrisation = find_entry(std::span(synthetic::parametrisation_table()), "parametrisation",
                                 parametrisation_name)
                          .make();
    method = find_entry(std::span(methods::method_table()), "method", method_name).make();
    loop.take(method->defaults());
    loop.declare(options);
    options.group("Method " + method_name);
    method->declare(options);
    options.group("Parametrisation " + parametrisation_name);
    parametrisation->declare(options);
    options.group("Data");
    data.declare(options);
    machine.declare(options);
    options.add("memory_limit", memory_limit,
                "such as 2GB: work in smaller pieces so that the process stays below, or say that "
                "none is small enough; empty: no limit",
                {}, Role::kExecution);
    options.group("Run");
    options.add("out", out, "the run's folder", {}, Role::kExecution);
    options.add("recipe", recipe, "a TOML file of these options; flags override it", {},
                Role::kExecution);
  }
};

/// What the flags, else the recipe, give for an option that decides which others there are.
std::string deciding(const Arguments& arguments, const std::string& name,
                     const std::string& otherwise) {
  const std::string given = peek(arguments, name), recipe = peek(arguments, "recipe");
  if (!given.empty()) return given;
  if (!recipe.empty())
    for (const auto& [key, text] : read_flat_toml(recipe))
      if (key == name) return text;
  return otherwise;
}

methods::Validate validator(const Settings& settings, const data::Dataset& data,
                            at::Device device) {
  if (settings.loop.validate_every == 0) return {};
  return [&settings, &data, device](const synthetic::Bundle& bundle) {
    eval::EvalOptions options;
    options.students = 1;
    options.part = "validation";
    options.random_baseline = false;
    options.seed = settings.loop.seed;
    const auto result = eval::evaluate(bundle, data, options, device, {}).results.at(0);
    return Json{{"network", result.network},
                {"mean", result.mean()},
                {"deviation", result.deviation()},
                {"students", options.students}};
  };
}

void check_combination(const Settings& settings) {
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the run's folder");
  if (!settings.options.find("data")->was_set)
    problems.add("missing: --data, the data set's folder, or shapes, the built-in set");
  if (settings.loop.validate_every > 0 && settings.data.validation_fraction <= 0)
    problems.add(
        "--validate-every needs a validation part: give --validation-fraction, such as 0.1");
  parse_bytes(settings.memory_limit);
  find_entry(std::span(eval::protocols()), "protocol", settings.loop.protocol);
  augment::parse_strategy(settings.loop.augmentation == "auto" ? "none"
                                                               : settings.loop.augmentation);
  problems.raise("reading the options of 'retort distill'");
}

/// A run of the usual length may take a day: how long it is to be is asked, not guessed.
void require_length(const Settings& settings) {
  const int64_t usual = settings.loop.iterations;
  if (usual == 0 || settings.options.find("iterations")->was_set) return;
  throw ConfigError(ErrorMessage{
      "reading the options of 'retort distill'", "missing: --iterations, how long to run",
      fmt::format("a number; {} is usual for {}", usual, settings.loop.method),
      "begin with 100: after three the program says how long all will take, "
      "and the same command with more goes on from there"});
}

/// Measured: what a first step adds beside its passes, most of it libtorch's own code read in.
constexpr int64_t kFirstStepBytes = int64_t{160} << 20;

/// The whole process is to stay below the limit: what the program and the data take is taken.
void limit_memory(const Environment& environment, const std::string& given,
                  nets::Network& network) {
  const int64_t limit = parse_bytes(given);
  if (limit == 0) return;
  const int64_t used = memory_bytes() + kFirstStepBytes;
  network.limit_memory(limit > used ? limit - used : -1);
  environment.err << fmt::format("memory: {} taken, {} at most: passes of up to {} images\n",
                                 format_bytes(static_cast<double>(used)),
                                 format_bytes(static_cast<double>(limit)),
                                 network.rows_at_once(1024));
}

Json summary_json(const methods::DistillOutcome& outcome, const methods::RunFolder& folder,
                  const synthetic::Bundle& bundle) {
  Json storage = Json::object();
  for (const auto& [name, bytes] : bundle.storage()) storage[name] = bytes;
  return {{"out", folder.path().string()},
          {"bundle", folder.bundle().string()},
          {"method", bundle.method},
          {"data", bundle.data_name},
          {"images", bundle.images.size(0)},
          {"classes", bundle.classes()},
          {"iterations", outcome.iteration},
          {"stopped", outcome.stopped},
          {"seconds", outcome.seconds},
          {"loss", outcome.loss},
          {"storage_bytes", bundle.storage_bytes},
          {"images_per_class_equivalents", bundle.images_per_class_equivalents()},
          {"storage", storage},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

/// What a set that is not pixels stores, a line for each component.
std::string storage_text(const synthetic::Bundle& bundle) {
  if (bundle.compact.empty()) return {};
  std::string text;
  const double whole = bundle.images_per_class_equivalents();
  for (const auto& [name, bytes] : bundle.storage())
    text +=
        fmt::format("  stored   {}: {}, as {:.3g} images per class\n", name,
                    format_bytes(static_cast<double>(bytes)),
                    whole * static_cast<double>(bytes) / static_cast<double>(bundle.storage_bytes));
  return text + fmt::format("  in all   as {:.4g} images per class\n", whole);
}

/// How to judge the set; students of a post-training learn a teacher's labels, which have to be
/// asked for.
std::string next_text(const Settings& settings, const std::string& run) {
  const std::string judge = "retort eval " + run + " --data " + settings.data.data;
  const auto& protocol =
      find_entry(std::span(eval::protocols()), "protocol", settings.loop.protocol);
  if (!protocol.post) return "  next     " + judge + "\n";
  const Option* given = settings.options.find("teacher");
  const std::string teacher =
      given && !given->text().empty() ? given->text() : std::string("TEACHER");
  return fmt::format(
      "  next     {} --teacher {}     # students learn the teacher's labels, live\n"
      "      or   retort relabel {} --teacher {}     # stores them; then eval needs no teacher\n"
      "           with neither, students learn the hard labels, which protocol '{}' is not made "
      "for\n",
      judge, teacher, run, teacher, settings.loop.protocol);
}

/// What the run warned of, whenever that was.
std::vector<std::string> warnings_of(const methods::RunFolder& folder) {
  std::vector<std::string> texts;
  for (const Json& record : read_records(folder.records()))
    if (record.value("kind", "") == "warning") texts.push_back(record.value("text", ""));
  return texts;
}

void print_result(const Environment& environment, const Settings& settings,
                  const methods::RunFolder& folder, const methods::DistillOutcome& outcome,
                  bool was_finished) {
  const synthetic::Bundle bundle = synthetic::load_bundle(folder.bundle());
  const auto page = write_report(folder.path());
  const std::vector<std::string> warnings = warnings_of(folder);
  if (settings.machine.json) {
    Json summary = summary_json(outcome, folder, bundle);
    summary["warnings"] = warnings;
    summary["already_finished"] = was_finished;
    summary["report"] = page.string();
    environment.out << json_text(summary, 2) << "\n";
    return;
  }
  environment.out << fmt::format("{}{} images of {} classes from {} by {}, {}\n",
                                 was_finished ? "this run was finished before: " : "",
                                 bundle.images.size(0), bundle.classes(), bundle.data_name,
                                 bundle.method,
                                 format_bytes(static_cast<double>(bundle.storage_bytes)))
                  << storage_text(bundle) << "  set      " << folder.bundle().string() << "\n"
                  << "  report   " << page.string() << "\n"
                  << next_text(settings, folder.path().string());
  for (const std::string& warning : warnings) environment.out << "warning: " << warning << "\n";
}

}  // namespace

int run_distill(const Environment& environment, const Arguments& arguments) {
  Settings settings(deciding(arguments, "method", "dm"),
                    deciding(arguments, "parametrisation", "pixels"));
  const Usage usage{"distill", "Distils a large labelled image set into a tiny one.", kExamples};
  std::vector<std::string> ignored = claim_keys();  // what `retort reproduce` reads of a recipe
  ignored.insert(ignored.end(), {"out", "recipe"});
  if (!parse(environment, usage, arguments, settings.options, {}, peek(arguments, "recipe"),
             ignored))
    return 0;
  for (const char* name : {"teacher", "experts", "init_from"})
    if (const Option* file = settings.options.find(name))
      take_split_of(file->text(), settings.options);
  check_whitening_of(settings.loop.init_from, settings.options);
  check_combination(settings);
  const bool started = methods::RunFolder::started(settings.out, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data =
      data::open_dataset(settings.data, std::filesystem::path(settings.out) / "cache");
  if (settings.loop.validate_every > 0 && data.validation.size() == 0)
    throw ConfigError(ErrorMessage{
        "preparing the validation part", "it is empty", {}, "raise --validation-fraction"});
  auto network = nets::make_network(settings.loop.network,
                                    {data.channels, data.height, data.width, data.classes()});
  limit_memory(environment, settings.memory_limit, *network);
  if (environment.debug)
    environment.err << fmt::format("network '{}': gradients by engine '{}'\n", network->name(),
                                   network->engine_name(nets::Work::kGradient, device));
  const methods::DistillInput input{data,
                                    *network,
                                    *settings.method,
                                    *settings.parametrisation,
                                    settings.loop,
                                    portable_recipe(settings.options, data.name),
                                    device,
                                    settings.machine.threads_used,
                                    environment.progress(),
                                    environment.stop,
                                    validator(settings, data, device)};
  if (environment.check_only) {
    if (!started) methods::check_set(input);
    return 0;
  }
  const auto say = [&](const std::vector<std::string>& notes) {
    for (const std::string& note : notes) environment.err << "note: " << note << "\n";
  };
  if (!started) {
    say(data.notes);  // before what may be refused because of them, such as a test part split off
    say(methods::check_new_run(input));
    require_length(settings);
  }
  const methods::RunFolder folder(settings.out, settings.options);
  methods::DistillOutcome outcome;
  outcome.iteration = settings.loop.iterations;
  const bool finished = folder.finished(settings.loop.iterations);
  if (!finished) {
    if (started) say(data.notes);
    outcome = methods::distill(input, folder);
  }
  if (outcome.stopped) {
    environment.err << fmt::format(
        "stopped at iteration {} of {}: give the same command to go on\n", outcome.iteration,
        settings.loop.iterations);
    return kStopped;
  }
  print_result(environment, settings, folder, outcome, finished);
  return 0;
}

}  // namespace retort::cli
