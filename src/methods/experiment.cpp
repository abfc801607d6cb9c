#include "retort/methods/experiment.h"

#include <fmt/format.h>

#include "core/note.h"
#include "core/registry.h"
#include "methods/distillation.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"

namespace retort::methods {
namespace {

/// Measured: what a first step adds beside its passes, most of it libtorch's own code read in.
constexpr int64_t kFirstStepBytes = int64_t{160} << 20;

/// The whole process is to stay below the limit: what the program and the data take is taken.
void limit_memory(const RunSettings& how, nets::Network& network) {
  if (how.memory_limit == 0) return;
  const int64_t used = memory_bytes() + kFirstStepBytes;
  network.limit_memory(how.memory_limit > used ? how.memory_limit - used : -1);
  if (how.progress.out)
    *how.progress.out << fmt::format("memory: {} taken, {} at most: passes of up to {} images\n",
                                     format_bytes(static_cast<double>(used)),
                                     format_bytes(static_cast<double>(how.memory_limit)),
                                     network.rows_at_once(1024));
}

void say(const RunSettings& how, const std::vector<std::string>& notes) {
  if (!how.note) return;
  for (const std::string& note : notes) how.note(note);
}

/// What one start of an experiment works with.
struct Start {
  std::unique_ptr<nets::Network> network;
  DistillInput input;

  Start(const Experiment& experiment, const data::Dataset& data, const RunSettings& how)
      : network(nets::make_network(experiment.settings().network,
                                   {data.channels, data.height, data.width, data.classes()})),
        input{data,
              *network,
              experiment.method(),
              experiment.parametrisation(),
              experiment.settings(),
              portable_recipe(how.recipe ? *how.recipe : experiment.options(), data.name),
              how.device,
              how} {
    limit_memory(how, *network);
  }
};

void require_validation_part(const DistillOptions& options, const data::Dataset& data) {
  if (options.validate_every == 0 || data.validation.size() > 0) return;
  throw ConfigError(ErrorMessage{
      "preparing the validation part", "it is empty", {}, "raise --validation-fraction"});
}

DistillOutcome finished_before(const RunFolder& folder, int64_t iterations) {
  DistillOutcome outcome;
  outcome.bundle = synthetic::load_bundle(folder.bundle());
  outcome.iteration = iterations;
  outcome.was_finished = true;
  return outcome;
}

}  // namespace

Experiment::Experiment(const std::string& method, const std::string& parametrisation)
    : Experiment(find_entry(std::span(method_table()), "method", method), parametrisation) {}

Experiment::Experiment(MethodEntry method, const std::string& parametrisation)
    : entry_(std::move(method)),
      parametrisation_name_(parametrisation),
      parametrisation_(find_entry(std::span(synthetic::parametrisation_table()), "parametrisation",
                                  parametrisation)
                           .make()) {
  method_ = entry_.make();
  settings_.method = entry_.name;
  settings_.parametrisation = parametrisation;
  settings_.take(method_->defaults());
  declare(own_);
}

Experiment::Experiment(const Experiment& other)
    : Experiment(other.entry_, other.parametrisation_name_) {
  Problems none;
  for (const Option& option : other.own_.all()) own_.set(option.name, option.text(), "", none);
  none.raise("copying the options");
}

Experiment::~Experiment() = default;

void Experiment::set(const std::vector<std::pair<std::string, std::string>>& values) {
  Problems problems;
  for (const auto& [name, text] : values) own_.set(name, text, name, problems);
  for (const auto& [given, ours] : {std::pair(settings_.method, entry_.name),
                                    std::pair(settings_.parametrisation, parametrisation_name_)})
    if (given != ours)
      problems.add("the experiment is of '" + ours + "': make another one for '" + given + "'");
  problems.raise("setting the options of an experiment");
}

void Experiment::declare(OptionSet& options) {
  settings_.declare(options);
  options.group("Method " + entry_.name);
  method_->declare(options);
  options.group("Parametrisation " + parametrisation_name_);
  parametrisation_->declare(options);
}

std::vector<std::string> Experiment::check(const data::Dataset& data,
                                           const RunSettings& how) const {
  require_validation_part(settings_, data);
  const Start start(*this, data, how);
  return Distillation(start.input, true).notes();
}

void Experiment::check_set(const data::Dataset& data, const RunSettings& how) const {
  require_validation_part(settings_, data);
  methods::check_set(Start(*this, data, how).input);
}

DistillOutcome Experiment::run(const data::Dataset& data, const std::filesystem::path& folder,
                               const RunSettings& how) const {
  const OptionSet& recorded = how.recipe ? *how.recipe : own_;
  const ProcessGroup& group = *how.group;
  const bool started = group.agree(RunFolder::started(folder, recorded)) != 0;
  require_validation_part(settings_, data);
  const Start start(*this, data, how);
  std::unique_ptr<Distillation> work;
  if (!started) {
    say(how, data.notes);  // before what may be refused because of them
    work = std::make_unique<Distillation>(start.input, true);
    say(how, work->notes());
    if (how.begin) how.begin(false);
  }
  const RunFolder run(folder, recorded, group.first());
  if (group.agree(run.finished(settings_.iterations)) != 0)
    return finished_before(run, settings_.iterations);
  if (started) {
    say(how, data.notes);
    if (how.begin) how.begin(true);
    say_note(how.progress, run.damage());
    work = std::make_unique<Distillation>(start.input, false);
    RunFolder::started(folder, recorded, work->open_ended());
  }
  return work->run(run);
}

}  // namespace retort::methods
