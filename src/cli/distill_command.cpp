// retort distill: options, data, loop, report.
#include "cli/distill_command.h"

#include <ostream>

#include "augment/siamese.h"
#include "cli/distill_sets.h"
#include "cli/host.h"
#include "cli/needed.h"
#include "cli/published_result.h"
#include "cli/taken_over.h"
#include "core/registry.h"
#include "retort/core/error.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort distill --method dm --data shapes --images-per-class 10 --iterations 500 "
    "--real-batch 64 --out runs/a\n"
    "  retort distill --method dm --data my_images/ --resolution 32 --images-per-class 1 "
    "--iterations 500 --real-batch 64 --out runs/b\n"
    "  retort distill --recipe recipes/dm/cifar10-ipc10.toml --data cifar-10-batches-bin --out "
    "runs/c\n"
    "  retort distill --method dm --data shapes --images-per-class 1 --iterations 200 --real-batch "
    "64 --seeds 0,1,2 --out runs/d\n\n"
    "A run that was stopped goes on when the same command is given again.\n"
    "Other methods take other options: retort distill --method NAME --help\n";

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

void check_combination(const DistillSettings& settings) {
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the run's folder");
  if (!settings.options.find("data")->was_set)
    problems.add("missing: --data, the data set's folder, or shapes, the built-in set");
  if (settings.loop().validate_every > 0 && settings.data.validation_fraction <= 0)
    problems.add(
        "--validate-every needs a validation part: give --validation-fraction, such as 0.1");
  parse_bytes(settings.memory_limit);
  find_entry(std::span(eval::protocols()), "protocol", settings.loop().protocol);
  augment::parse_strategy(settings.loop().augmentation == "auto" ? "none"
                                                                 : settings.loop().augmentation);
  problems.raise("reading the options of 'retort distill'");
}

/// A run of the usual length may take a day: how long it is to be is asked, not guessed.
void require_length(const DistillSettings& settings) {
  const int64_t usual = settings.loop().iterations;
  if (usual == 0 || settings.options.find("iterations")->was_set) return;
  throw ConfigError(ErrorMessage{
      "reading the options of 'retort distill'", "missing: --iterations, how long to run",
      fmt::format("a number; {} is usual for {}", usual, settings.loop().method),
      "begin with 100: after three the program says how long all will take, "
      "and the same command with more goes on from there"});
}

/// What the run is told to do and whom to tell, beside its options.
methods::RunSettings how(const Environment& environment, const DistillSettings& settings,
                         const data::Dataset& data, at::Device device) {
  methods::RunSettings how;
  how.device = device;
  how.threads = settings.machine.threads_used;
  how.memory_limit = parse_bytes(settings.memory_limit);
  how.progress = environment.progress();
  how.stop = environment.stop;
  if (settings.loop().validate_every > 0)
    how.validate = eval::validator(data, settings.loop().seed, device);
  if (environment.host) how.iteration = environment.host->iteration;
  if (environment.host) how.record = environment.host->record;
  how.note = [&environment](const std::string& note) {
    environment.err << "note: " << note << "\n";
  };
  how.begin = [&settings](bool started) {
    if (!started) require_length(settings);
  };
  how.recipe = &settings.options;
  how.group = environment.group;
  return how;
}

/// The method of that name: the host's, or one of the table.
methods::MethodEntry method_of(const Environment& environment, const std::string& name) {
  if (environment.host && environment.host->method && environment.host->method->name == name)
    return *environment.host->method;
  return find_entry(std::span(methods::method_table()), "method", name);
}

data::Dataset data_of(const Environment& environment, const DistillSettings& settings) {
  return open_data(environment, settings.data, std::filesystem::path(settings.out) / "cache");
}

void say_engine(const Environment& environment, const DistillSettings& settings,
                const data::Dataset& data, at::Device device) {
  const auto network = nets::make_network(settings.loop().network,
                                          {data.channels, data.height, data.width, data.classes()});
  environment.err << fmt::format("network '{}': gradients by engine '{}'\n", network->name(),
                                 network->engine_name(nets::Work::kGradient, device));
}

}  // namespace

DistillSettings::DistillSettings(const std::string& method, const std::string& parametrisation)
    : DistillSettings(find_entry(std::span(methods::method_table()), "method", method),
                      parametrisation) {}

DistillSettings::DistillSettings(methods::MethodEntry method, const std::string& parametrisation)
    : experiment(std::move(method), parametrisation) {
  experiment.declare(options);
  options.group("Data");
  data.declare(options);
  machine.declare(options);
  options.add("memory_limit", memory_limit,
              "limit on the memory of the whole process, such as 2GB: the work is cut into smaller "
              "pieces, and refused where no piece is small enough; empty: no limit",
              {}, Role::kExecution);
  options.group("Run");
  options.add("out", out, "the run's folder", {}, Role::kExecution);
  options.add("recipe", recipe, "a TOML file of these options; flags override it", {},
              Role::kExecution);
}

void settle(DistillSettings& settings) {
  for (const char* name : {"teacher", "experts", "init_from"})
    if (const Option* file = settings.options.find(name))
      take_split_of(file->text(), settings.options);
  check_whitening_of(settings.loop().init_from, settings.options);
  check_combination(settings);
}

std::vector<std::string> keys_beside_distill() {
  std::vector<std::string> keys = claim_keys();  // what `retort reproduce` reads of a recipe
  keys.insert(keys.end(), {"out", "recipe"});
  return keys;
}

void check_distil(const Environment& environment, DistillSettings& settings) {
  settle(settings);
  const bool started = methods::RunFolder::started(settings.out, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data = data_of(environment, settings);
  if (!started) settings.experiment.check_set(data, how(environment, settings, data, device));
}

int distil(const Environment& environment, DistillSettings& settings) {
  settle(settings);
  methods::RunFolder::started(settings.out, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data = data_of(environment, settings);
  if (environment.debug) say_engine(environment, settings, data, device);
  const methods::DistillOutcome outcome =
      settings.experiment.run(data, settings.out, how(environment, settings, data, device));
  if (outcome.stopped) {
    environment.err << fmt::format(
        "stopped at iteration {} of {}: give the same command to go on\n", outcome.iteration,
        settings.loop().iterations);
    return kStopped;
  }
  if (environment.group->first()) {
    keep_needed(settings.out, settings.options);
    print_result(environment, settings, outcome);
  }
  return 0;
}

int run_distill(const Environment& environment, const Arguments& arguments) {
  const MakeSettings make = [&] {
    return std::make_unique<DistillSettings>(
        method_of(environment, deciding(arguments, "method", "dm")),
        deciding(arguments, "parametrisation", "pixels"));
  };
  const auto asked = make();
  std::vector<std::string> seeds;
  asked->options.add(
      "seeds", seeds,
      "a set for each of these seeds, as 0,1,2, in the folders OUT/seed-0 and so on; "
      "`retort eval OUT` then tells the spread over sets apart",
      {}, Role::kExecution);
  const Usage usage{"distill", "Distils a large labelled image set into a tiny one.", kExamples};
  if (!parse(environment, usage, arguments, asked->options, {}, peek(arguments, "recipe"),
             keys_beside_distill()))
    return 0;
  if (asked->options.find("seeds")->was_set) {
    Problems problems;  // a recipe may have a seed, which the seeds replace
    if (!peek(arguments, "seed").empty()) problems.add("--seed and --seeds: give one of them");
    problems.raise("reading the options of 'retort distill'");
    return distil_sets(environment, *asked, seeds, make);
  }
  return distil(environment, *given_again(*asked, make));
}

}  // namespace retort::cli
