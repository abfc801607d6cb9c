#include "cli/condenser.h"

#include <fmt/format.h>

#include <ostream>

#include "retort/core/error.h"

namespace retort::cli {

namespace fs = std::filesystem;

/// One set: its experiment, its folder and what its recipe records.
struct Condenser::Job {
  Job(const Condenser& maker, int64_t order_of_set, int64_t task_of_set)
      : experiment(*maker.command_.experiment),
        stream(maker.command_.stream),
        data(maker.command_.data),
        order(order_of_set),
        task(task_of_set),
        folder(fs::path(maker.command_.out) / maker.command_.name / fmt::format("order{}", order) /
               fmt::format("task{}", task)) {
    // Sets of different tasks draw differently; 31 bits are a seed that any reader takes.
    int64_t& seed = experiment.settings().seed;
    seed = RandomStream(static_cast<uint64_t>(seed), "continual.condense",
                        static_cast<uint64_t>(order), static_cast<uint64_t>(task))
               .uniform_int(int64_t{1} << 31);
    recipe.add("stream", stream.stream, "");
    recipe.add("tasks", stream.tasks, "");
    recipe.add("samples_per_task", stream.samples_per_task, "");
    recipe.add("order", order, "");
    recipe.add("task", task, "");
    experiment.declare(recipe);
    data.declare(recipe);
    how.device = maker.device_;
    how.threads = maker.command_.machine.threads_used;
    how.progress = maker.environment_.progress();
    how.stop = maker.environment_.stop;
    how.recipe = &recipe;
  }

  methods::Experiment experiment;
  continual::ContinualOptions stream;
  data::DataOptions data;
  int64_t order, task;
  fs::path folder;
  OptionSet recipe;
  methods::RunSettings how;
};

void Condenser::check(const continual::TaskStream& stream) const {
  const data::Dataset samples = stream.arrive(0);
  const Job job(*this, 0, 0);
  if (!methods::RunFolder::started(job.folder, job.recipe)) job.experiment.check(samples, job.how);
  if (!command_.kind().once) return;
  const synthetic::SetLayout images{
      std::vector<int64_t>(samples.class_names.size(),
                           std::stoll(command_.loop().images_per_class)),
      samples.channels, samples.height, samples.width};
  int64_t bytes = 0;
  for (const auto& [name, tensor] :
       job.experiment.parametrisation().make({images, device_})->compact())
    bytes += static_cast<int64_t>(tensor.nbytes());
  check_budget(bytes, job.folder);
}

std::optional<synthetic::Bundle> Condenser::operator()(const data::Dataset& samples, int64_t order,
                                                       int64_t task) const {
  Job job(*this, order, task);
  job.how.begin = [&](bool) {
    environment_.err << fmt::format("order {} of {}, task {} of {}: {} samples\n", order + 1,
                                    command_.stream.orders, task + 1, command_.stream.tasks,
                                    samples.train.size());
  };
  if (job.experiment.run(samples, job.folder, job.how).stopped) return {};
  synthetic::Bundle bundle = synthetic::load_bundle(job.folder / "distilled.safetensors");
  check_set(bundle, job.folder);
  return bundle;
}

/// The memory is counted in floats of images; hard labels are free, as published.
void Condenser::check_set(const synthetic::Bundle& bundle, const fs::path& folder) const {
  if (bundle.step_learning_rates.defined())
    throw ConfigError(ErrorMessage{"storing the set '" + folder.string() + "'",
                                   "it is to be learned in its own order of steps, which cannot be "
                                   "joined with those of other tasks",
                                   "a method whose sets are learned in any order",
                                   {}});
  if (bundle.soft_labels.defined() && bundle.soft_labels.lt(0).any().item<bool>())
    throw ConfigError(ErrorMessage{"storing the set '" + folder.string() + "'",
                                   "its labels are targets of a regression, not weights of classes",
                                   "a method whose labels can be learned by cross-entropy",
                                   {}});
  check_budget(bundle.stored_bytes() - bundle.classes() * static_cast<int64_t>(sizeof(int64_t)),
               folder);
}

void Condenser::check_budget(int64_t bytes, const fs::path& folder) const {
  const double budget = command_.budget_bytes(all_);
  const auto taken = static_cast<double>(bytes);
  if (budget == 0 || taken <= budget) return;
  throw ConfigError(ErrorMessage{
      "storing the set '" + folder.string() + "'",
      fmt::format("it takes {}, more than its task's part of the memory", format_bytes(taken)),
      fmt::format("{} a task: {} images for {} tasks", format_bytes(budget), command_.stream.memory,
                  command_.stream.tasks),
      "lower --images-per-class or the parametrisation's size, or raise --memory, and "
      "choose another --name"});
}

}  // namespace retort::cli
