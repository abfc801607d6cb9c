#include "cli/reproduce_estimate.h"

#include <algorithm>
#include <chrono>

#include "cli/rehearsal.h"
#include "cli/reproduce_job.h"
#include "cli/taken_over.h"
#include "eval/evaluate_under.h"
#include "retort/core/random.h"
#include "trajectories/trajectory_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

/// Silence with no steps that count.
bool none(const std::string&) {
  return false;
}

double training_seconds(const Environment& environment, const ReproduceJob& job,
                        const fs::path& folder) {
  ExpertsSettings experts;
  job.give_experts(experts);
  give(experts.options, "out", folder.string());
  const Rehearsal rehearsal(environment, [](const std::string& label) {
    return label.find(" on ") != std::string::npos;
  });
  make_experts(rehearsal.environment(), experts);
  return rehearsal.seconds();
}

/// Draws in the place of an expert, which a step of matching takes as long with; the bytes of its
/// file.
int64_t stand_in(const Environment& environment, const ReproduceJob& job, const fs::path& folder) {
  ExpertsSettings experts;
  job.give_experts(experts);
  const data::Dataset data = open_data(environment, experts.data);
  const auto network = nets::make_network(experts.experts.network,
                                          {data.channels, data.height, data.width, data.classes()});
  trajectories::TrajectoryPlan plan;
  plan.folder = folder;
  plan.epochs = experts.experts.epochs;
  plan.parameters = network->parameters().size;
  plan.metadata = trajectories::fit_of(data, *network);
  plan = trajectories::complete(plan);
  fs::create_directories(folder);
  const auto file = trajectories::GrowingTrajectory::claim(plan);
  file->make();
  const at::Tensor from = network->initial(RandomStream(0, "estimate.from"));
  const at::Tensor to = network->initial(RandomStream(0, "estimate.to"));
  for (int64_t epoch = 0; epoch <= plan.epochs; ++epoch)
    file->write(epoch, at::lerp(from, to, 0.01 * static_cast<double>(epoch)), 1);
  file->finish(0);
  return trajectories::trajectory_bytes(plan);
}

/// A set of random images of the run's size, to be evaluated in place of what it will make.
void choose_in_place(const Environment& environment, const ReproduceJob& job, const fs::path& out) {
  const DistillSettings random("random", "pixels");
  Arguments words{"--method=random", "--out=" + out.string()};
  for (const Option& option : job.run->options.all()) {
    const bool own = option.name == "method" || option.name == "out" || option.name == "recipe" ||
                     option.name == "parametrisation";
    if (option.was_set && !own && random.options.find(option.name))
      words.push_back(option.flag() + "=" + option.text());
  }
  const Rehearsal quiet(environment, none);
  run_distill(quiet.environment(), words);
}

}  // namespace

double evaluation_seconds(const Environment& environment, EvalSettings& settings) {
  const auto begin = std::chrono::steady_clock::now();
  take_run_options(settings.target, settings.set);
  const at::Device device = settings.machine.apply(environment);
  synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(settings.target));
  const data::Dataset data = open_data(environment, settings.data);
  const std::chrono::duration<double> reading = std::chrono::steady_clock::now() - begin;
  fit_to_data(environment, "evaluating", settings.target, data, bundle);
  const eval::Protocol& protocol = eval::protocol_of(bundle, settings.options);
  return reading.count() + eval::expected_seconds(
                               {bundle, data, protocol, settings.options, {}, device, {}, nullptr});
}

Expected expected_of_reproduction(const Environment& given, const Arguments& arguments) {
  const PassingFolder cache;
  Environment environment = given;
  if (given.cache.empty()) environment.cache = cache.path();
  ReproduceJob job;
  OptionSet set;
  job.declare(set);
  parse(environment, {"reproduce", "", ""}, arguments, set,
        {{"recipe", "a file of recipes/", &job.recipe}});
  job.read(set);
  Expected expected;
  const PassingFolder folder;
  if (job.claim.experts_count > 0 && job.experts.empty()) {
    expected.seconds += training_seconds(environment, job, folder.path() / "trained");
    const fs::path experts = folder.path() / "experts";
    expected.disk_bytes += job.claim.experts_count * stand_in(environment, job, experts);
    job.use_experts(experts.string());
  }
  const auto sets = static_cast<int64_t>(std::max<size_t>(1, job.seeds.size()));
  const PassingFolder made;
  give(job.run->options, "out", (made.path() / "run").string());
  const Rehearsal rehearsal(
      environment, [&](const std::string& label) { return label == job.run->loop().method; });
  distil(rehearsal.environment(), *job.run);
  expected.disk_bytes += sets * made.bytes();
  choose_in_place(environment, job, folder.path() / "chosen");
  EvalSettings evaluation;
  job.give_evaluation(evaluation);
  evaluation.target = (folder.path() / "chosen").string();
  expected.seconds += static_cast<double>(sets) *
                      (rehearsal.seconds() + evaluation_seconds(environment, evaluation));
  expected.disk_bytes += bytes_in(environment.cache);
  return expected;
}

}  // namespace retort::cli
