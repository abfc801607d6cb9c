// retort reproduce: experts, distillation and evaluation of a recipe in one go, and the result
// beside the published one. Every part goes on where it was; so does the whole.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>

#include "cli/arguments.h"
#include "cli/claim.h"
#include "cli/run_report.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/data/dataset.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort reproduce recipes/dm/cifar10-ipc1.toml --data cifar-10-batches-bin --out runs/dm1\n"
    "  retort reproduce recipes/mtt/cifar10-ipc10.toml --data cifar-10-batches-bin --out runs/mtt "
    "--set experts_count=5,iterations=500\n\n"
    "The same command goes on with what was stopped or killed.\n";

constexpr const char* kDoing = "reading the command line of 'retort reproduce'";

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Job {
  std::string recipe, data = "shapes", out, experts, teacher;
  std::vector<std::string> changes;
  int64_t students = 5;
  MachineOptions machine;
  Claim claim;
  Pairs changed;       // options of the run that --set replaces
  Pairs data_options;  // of the recipe, replaced or not: experts need them too
  std::string network = "convnet";

  void declare(OptionSet& set) {
    set.group("Reproduction");
    set.add("data", data, "the data set's folder, or shapes");
    set.add("out", out, "the folder of it all");
    set.add("experts", experts, "a folder of experts to use; empty: they are trained in --out");
    set.add("teacher", teacher,
            "file of the teacher, for methods that recover images from one: of its statistics, and "
            "of the students' labels, live");
    set.add("set", changes, "KEY=VALUE,...: keys of the recipe to replace");
    set.add("students", students, "freshly initialised networks to train for every figure",
            {.min = 1, .max = 1000});
    machine.declare(set);
  }

  /// Reads the recipe and the changes: keys of the claim, of the data, and of the run.
  void read() {
    OptionSet claims, data_set;
    data::DataOptions unused;
    claim.declare(claims);
    unused.declare(data_set);
    Problems problems;
    auto take = [&](const std::string& key, const std::string& text, const std::string& origin) {
      if (claims.find(key)) claims.set(key, text, origin, problems);
      if (data_set.find(key)) data_options.emplace_back(key, text);
      if (key == "network") network = text;
    };
    for (const auto& [key, text] : read_flat_toml(recipe)) take(key, text, recipe + ": " + key);
    for (const std::string& change : changes) {
      const size_t at = change.find('=');
      if (at == std::string::npos) {
        problems.add("--set takes KEY=VALUE, not '" + change + "'");
        continue;
      }
      const std::string key = change.substr(0, at), text = change.substr(at + 1);
      take(key, text, "--set " + key);
      if (!claims.find(key)) changed.emplace_back(key, text);
    }
    if (out.empty()) problems.add("missing: --out, the folder of it all");
    problems.raise(kDoing);
  }

  Arguments with_machine(Arguments arguments) const {
    for (const std::string& word :
         {"--device=" + machine.device, "--threads=" + std::to_string(machine.threads)})
      arguments.push_back(word);
    return arguments;
  }
  fs::path run() const { return fs::path(out) / "run"; }
};

std::string flag(const std::string& key, const std::string& text) {
  std::string name = key;
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name + "=" + text;
}

int make_experts(const Environment& environment, Job& job) {
  if (job.claim.experts_count == 0 || !job.experts.empty()) return 0;
  job.experts = (fs::path(job.out) / "experts").string();
  Arguments arguments{"--data=" + job.data, "--network=" + job.network, "--out=" + job.experts,
                      fmt::format("--count={}", job.claim.experts_count),
                      fmt::format("--epochs={}", job.claim.experts_epochs)};
  if (job.claim.experts_flat)
    for (const std::string& word :
         {std::string("--flat"), fmt::format("--gsam-alpha={}", job.claim.experts_gsam_alpha)})
      arguments.push_back(word);
  for (const auto& [key, text] : job.data_options) arguments.push_back(flag(key, text));
  return run_experts(environment, job.with_machine(arguments));
}

int distil(const Environment& environment, const Job& job) {
  Arguments arguments{"--recipe=" + job.recipe, "--data=" + job.data,
                      "--out=" + job.run().string()};
  if (!job.experts.empty()) arguments.push_back("--experts=" + job.experts);
  if (!job.teacher.empty()) arguments.push_back("--teacher=" + job.teacher);
  for (const auto& [key, text] : job.changed) arguments.push_back(flag(key, text));
  return run_distill(environment, job.with_machine(arguments));
}

/// The evaluation on the test part with as many students, where the run's records have it after
/// the end of the run: one from before more iterations judged another set.
std::optional<Json> evaluation_of(const Job& job) {
  std::optional<Json> found;
  for (const Json& record : read_records(job.run() / "records.jsonl"))
    if (record.value("kind", "") == "finish")
      found.reset();
    else if (record.value("kind", "") == "evaluation" && record.value("part", "") == "test" &&
             record.value("students", int64_t{0}) == job.students)
      found = record;
  return found;
}

struct Figure {
  double mean = 0, deviation = 0;
  bool there = false;
};

Figure figure_of(const Json& evaluation, const std::string& subject) {
  for (const Json& result : evaluation.at("results"))
    if (result.value("subject", "") == subject)
      return {result.value("mean", 0.0), result.value("deviation", 0.0), true};
  return {};
}

/// "reached", or by how much it was missed; a change of settings is said, too.
std::string verdict(const Job& job, const Figure& ours) {
  if (job.claim.published_accuracy == 0) return "nothing is published for this recipe";
  const double gap = ours.mean * 100 - job.claim.published_accuracy;
  const double spread = std::hypot(ours.deviation * 100, job.claim.published_deviation);
  std::string text = gap >= -spread ? "reached: within the spread of the published figure, or above"
                                    : fmt::format("not reached: {:.1f} points below", -gap);
  if (!job.changes.empty())
    text += fmt::format("; not the published settings ({})", fmt::join(job.changes, ", "));
  return text;
}

std::string published(double accuracy, double deviation) {
  if (accuracy == 0) return "-";
  if (deviation == 0) return fmt::format("{:.1f}", accuracy);
  return percent(accuracy / 100, deviation / 100);
}

void print(const Environment& environment, const Job& job, const Json& evaluation) {
  const Figure ours = figure_of(evaluation, "distilled"), random = figure_of(evaluation, "random");
  const std::string said = verdict(job, ours);
  if (job.machine.json) {
    environment.out << json_text(Json{{"recipe", job.recipe},
                                      {"out", job.out},
                                      {"evaluation", evaluation},
                                      {"published_accuracy", job.claim.published_accuracy},
                                      {"published_deviation", job.claim.published_deviation},
                                      {"verdict", said}},
                                 2)
                    << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"accuracy %", "ours", "published"}};
  rows.push_back({"distilled", percent(ours.mean, ours.deviation),
                  published(job.claim.published_accuracy, job.claim.published_deviation)});
  if (random.there)
    rows.push_back({"random real images", percent(random.mean, random.deviation),
                    published(job.claim.published_random, 0)});
  environment.out << fmt::format("{}, protocol {}, {} students\n\n", job.recipe,
                                 evaluation.value("protocol", ""), job.students)
                  << aligned(rows) << "\n"
                  << said << "\nreport: " << write_report(job.run()).string() << "\n";
}

}  // namespace

int run_reproduce(const Environment& environment, const Arguments& arguments) {
  Job job;
  OptionSet set;
  job.declare(set);
  const Usage usage{"reproduce",
                    "Runs a recipe whole (experts, distillation, evaluation) and prints the result "
                    "beside the published one.",
                    kExamples};
  if (!parse(environment, usage, arguments, set, {{"recipe", "a file of recipes/", &job.recipe}}))
    return 0;
  job.read();
  // What the parts print is progress here: standard output is for the result.
  const Environment part{environment.err, environment.err, environment.terminal, environment.width,
                         environment.stop};
  if (const int code = make_experts(part, job); code != 0) return code;
  if (const int code = distil(part, job); code != 0) return code;
  if (!evaluation_of(job)) {
    Arguments judge{job.run().string(), "--data=" + job.data,
                    fmt::format("--students={}", job.students)};
    if (!job.teacher.empty()) judge.push_back("--teacher=" + job.teacher);
    if (const int code = run_eval(part, job.with_machine(judge)); code != 0) return code;
  }
  print(environment, job, evaluation_of(job).value());
  return 0;
}

}  // namespace retort::cli
