// retort reproduce: experts, distillation and evaluation of a recipe in one go, and the result
// beside the published one. Every part goes on where it was; so does the whole.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>

#include "cli/arguments.h"
#include "cli/published_result.h"
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
    "--set experts_count=5,iterations=500,evaluation_epochs=100\n\n"
    "--set takes the keys of a recipe: options of retort distill, experts_count, experts_epochs "
    "and\nothers of the experts, and evaluation_epochs. A result with --set is marked as not the "
    "published\nsettings. The same command goes on with what was stopped or killed.\n";

constexpr const char* kDoing = "reading the command line of 'retort reproduce'";

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string flag(const std::string& key, const std::string& text) {
  std::string name = key;
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name + "=" + text;
}

struct Job {
  std::string recipe, data, out, experts, teacher, label_teacher;
  std::vector<std::string> changes;
  int64_t students = 5;
  MachineOptions machine;
  PublishedResult claim;
  Pairs changed;       // options of the run that --set replaces
  Pairs data_options;  // of the recipe, replaced or not: experts need them too
  std::string network = "convnet";

  void declare(OptionSet& set) {
    set.group("Reproduction");
    set.add("data", data, "the data set's folder, or shapes, the built-in set");
    set.add("out", out, "the folder of it all");
    set.add("experts", experts, "a folder of experts to use; empty: they are trained in --out");
    set.add("teacher", teacher,
            "file of the teacher, for methods that recover images from one: of its statistics, and "
            "of the students' labels, live");
    set.add("label_teacher", label_teacher,
            "file of the teacher of the students' labels, where it is another one");
    set.add("set", changes, "KEY=VALUE,...: keys of the recipe to replace");
    set.add("students", students, "freshly initialised networks to train for every figure",
            {.min = 1, .max = 1000});
    machine.declare(set);
  }

  /// Reads the recipe and the changes, and checks both with the options of the parts: all problems
  /// at once, before anything is trained.
  void read(const Environment& environment, const OptionSet& own) {
    OptionSet claims;
    claim.declare(claims);
    Problems problems;
    if (data.empty())
      problems.add("missing: --data, the data set's folder, or shapes, the built-in set");
    if (out.empty()) problems.add("missing: --out, the folder of it all");
    for (const auto& [key, text] : read_flat_toml(recipe))
      if (claims.find(key)) claims.set(key, text, recipe + ": " + key, problems);
    const Pairs wanted = split_changes(problems);
    Arguments line{"--recipe=" + recipe};
    for (const auto& [key, text] : wanted)
      if (key == "method" || key == "parametrisation") line.push_back(flag(key, text));
    Environment asking = environment;
    asking.survey = [&](OptionSet& run, const std::vector<Positional>&) {
      std::vector<std::string> ignored = claims.names();
      ignored.insert(ignored.end(), {"out", "recipe"});
      run.read_toml(recipe, problems, ignored);
      for (const auto& [key, text] : wanted) take(key, text, own, claims, run, problems);
      keep_data_options(run);
      network = run.find("network")->text();
      check_length(run, problems);
    };
    run_distill(asking, line);
    claim.deviation_known = claims.find("published_deviation")->was_set;
    if (!claim.label_teacher.empty() && label_teacher.empty())
      problems.add(
          "missing: --label-teacher, file of the teacher of the students' labels: the "
          "recipe has another one for them, " +
          claim.label_teacher);
    problems.raise(kDoing);
  }

  Arguments with_machine(Arguments arguments) const {
    for (const std::string& word :
         {"--device=" + machine.device, "--threads=" + std::to_string(machine.threads)})
      arguments.push_back(word);
    return arguments;
  }
  fs::path run() const { return fs::path(out) / "run"; }

 private:
  /// A word without "=" goes on with the list that the one before began.
  Pairs split_changes(Problems& problems) const {
    Pairs pairs;
    for (const std::string& change : changes) {
      const size_t at = change.find('=');
      std::string key = change.substr(0, at);
      std::replace(key.begin(), key.end(), '-', '_');
      if (at != std::string::npos)
        pairs.emplace_back(key, change.substr(at + 1));
      else if (!pairs.empty())
        pairs.back().second += "," + change;
      else
        problems.add("--set takes KEY=VALUE, not '" + change + "'");
    }
    return pairs;
  }

  void take(const std::string& key, const std::string& text, const OptionSet& own,
            OptionSet& claims, OptionSet& run, Problems& problems) {
    const std::string origin = "--set " + key;
    if (own.find(key) && !claims.find(key)) {
      problems.add(origin + ": this is no key of a recipe; give --" + key + " itself");
    } else if (claims.find(key)) {
      claims.set(key, text, origin, problems);
    } else if (key == "recipe") {
      problems.add(origin + ": the recipe is the word after 'retort reproduce'");
    } else if (!run.find(key)) {
      const std::string near = nearest(key, run.names());
      problems.add(fmt::format("{}: there is no option --{}{}", origin, key,
                               near.empty() ? "" : "; did you mean --" + near + "?"));
    } else {
      run.set(key, text, origin, problems);
      changed.emplace_back(key, text);
    }
  }

  void keep_data_options(const OptionSet& run) {
    data::DataOptions unused;
    OptionSet known;
    unused.declare(known);
    for (const Option& option : run.all())
      if (option.was_set && option.name != "data" && known.find(option.name))
        data_options.emplace_back(option.name, option.text());
  }

  /// What would be refused only once the experts are trained.
  void check_length(const OptionSet& run, Problems& problems) const {
    const Option* followed = run.find("expert_epochs");
    const Option* start = run.find("max_start_epoch");
    if (!followed || !start || claim.experts_count == 0 || !experts.empty()) return;
    const int64_t needed =
        *std::get<int64_t*>(start->target) - 1 + *std::get<int64_t*>(followed->target);
    if (needed > claim.experts_epochs)
      problems.add(
          fmt::format("experts of {} epochs: max_start_epoch {} and expert_epochs {} need "
                      "{}",
                      claim.experts_epochs, start->text(), followed->text(), needed));
  }
};

Arguments expert_line(const Job& job) {
  Arguments arguments{"--data=" + job.data, "--network=" + job.network, "--out=" + job.experts,
                      fmt::format("--count={}", job.claim.experts_count),
                      fmt::format("--epochs={}", job.claim.experts_epochs)};
  if (job.claim.experts_flat)
    for (const std::string& word :
         {std::string("--flat"), fmt::format("--gsam-alpha={}", job.claim.experts_gsam_alpha)})
      arguments.push_back(word);
  for (const auto& [key, text] : job.data_options) arguments.push_back(flag(key, text));
  return job.with_machine(arguments);
}

Arguments distill_line(const Job& job) {
  Arguments arguments{"--recipe=" + job.recipe, "--data=" + job.data,
                      "--out=" + job.run().string()};
  if (!job.experts.empty()) arguments.push_back("--experts=" + job.experts);
  if (!job.teacher.empty()) arguments.push_back("--teacher=" + job.teacher);
  for (const auto& [key, text] : job.changed) arguments.push_back(flag(key, text));
  return job.with_machine(arguments);
}

/// Experts take hours: what the run itself would refuse is refused before them.
int make_experts(const Environment& environment, Job& job) {
  if (job.claim.experts_count == 0 || !job.experts.empty()) return 0;
  job.experts = (fs::path(job.out) / "experts").string();
  Environment checking = environment;
  checking.check_only = true;
  if (const int code = run_distill(checking, distill_line(job)); code != 0) return code;
  environment.err << fmt::format("reproduce: {} expert{} of {} epoch{}\n", job.claim.experts_count,
                                 job.claim.experts_count == 1 ? "" : "s", job.claim.experts_epochs,
                                 job.claim.experts_epochs == 1 ? "" : "s");
  return run_experts(environment, expert_line(job));
}

int judge(const Environment& environment, const Job& job) {
  Arguments arguments{job.run().string(), "--data=" + job.data,
                      fmt::format("--students={}", job.students)};
  if (job.claim.evaluation_epochs > 0)
    arguments.push_back(fmt::format("--evaluation-epochs={}", job.claim.evaluation_epochs));
  const std::string& teacher = job.label_teacher.empty() ? job.teacher : job.label_teacher;
  if (!teacher.empty()) arguments.push_back("--teacher=" + teacher);
  return run_eval(environment, job.with_machine(arguments));
}

/// True where students of an evaluation were trained for as long as the job asks.
bool as_long(const Job& job, const Json& evaluation) {
  if (job.claim.evaluation_epochs == 0) return !evaluation.value("shortened", false);
  const Json& results = evaluation.at("results");
  return !results.empty() && results[0].value("epochs", int64_t{0}) == job.claim.evaluation_epochs;
}

/// The evaluation on the test part with as many students for as long, where the run's records have
/// it after the end of the run: one from before more iterations judged another set.
std::optional<Json> evaluation_of(const Job& job) {
  std::optional<Json> found;
  for (const Json& record : read_records(job.run() / "records.jsonl"))
    if (record.value("kind", "") == "finish")
      found.reset();
    else if (record.value("kind", "") == "evaluation" && record.value("part", "") == "test" &&
             record.value("students", int64_t{0}) == job.students && as_long(job, record))
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

/// "reached", or by how much it was missed; a change of settings is said, too. A deviation that was
/// not published is not taken for 0, but left out.
std::string verdict(const Job& job, const Figure& ours) {
  const PublishedResult& claim = job.claim;
  if (claim.published_accuracy == 0) return "nothing is published for this recipe";
  const double gap = ours.mean * 100 - claim.published_accuracy;
  const bool one = job.students == 1;
  const double spread = std::hypot(one ? 0 : ours.deviation * 100,
                                   claim.deviation_known ? claim.published_deviation : 0);
  std::string text;
  if (gap >= 0)
    text = "reached";
  else if (gap >= -spread)
    text = fmt::format("reached within the spread: {:.1f} points below", -gap);
  else
    text = fmt::format("not reached: {:.1f} points below", -gap);
  if (!claim.deviation_known) text += "; no deviation is published, so it is not known";
  if (one) text += "; one student has no spread";
  if (!job.changes.empty())
    text += fmt::format("; not the published settings ({})", fmt::join(job.changes, ", "));
  return text;
}

std::string published(double accuracy, std::optional<double> deviation) {
  if (accuracy == 0) return "-";
  return deviation ? percent(accuracy / 100, *deviation / 100) : fmt::format("{:.1f}", accuracy);
}

void print(const Environment& environment, const Job& job, const Json& evaluation) {
  const Figure ours = figure_of(evaluation, "distilled"), random = figure_of(evaluation, "random");
  const std::string said = verdict(job, ours);
  const std::optional<double> deviation =
      job.claim.deviation_known ? std::optional(job.claim.published_deviation) : std::nullopt;
  if (job.machine.json) {
    environment.out << json_text(
                           Json{{"recipe", job.recipe},
                                {"out", job.out},
                                {"evaluation", evaluation},
                                {"changed", job.changes},
                                {"published_accuracy", job.claim.published_accuracy},
                                {"published_deviation", deviation ? Json(*deviation) : Json()},
                                {"verdict", said}},
                           2)
                    << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"accuracy %", "ours", "published"}};
  rows.push_back({"distilled", percent(ours.mean, ours.deviation, job.students),
                  published(job.claim.published_accuracy, deviation)});
  if (random.there)
    rows.push_back({"random real images", percent(random.mean, random.deviation, job.students),
                    published(job.claim.published_random, {})});
  environment.out << fmt::format("{}, protocol {}, {} student{}\n\n", job.recipe,
                                 evaluation.value("protocol", ""), job.students,
                                 job.students == 1 ? "" : "s")
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
  job.read(environment, set);
  // What the parts print is progress here: standard output is for the result.
  const Environment part{environment.err, environment.err, environment.terminal, environment.width,
                         environment.stop};
  if (const int code = make_experts(part, job); code != 0) return code;
  environment.err << "reproduce: distillation\n";
  if (const int code = run_distill(part, distill_line(job)); code != 0) return code;
  std::optional<Json> found = evaluation_of(job);
  if (!found) {
    environment.err << fmt::format("reproduce: evaluation, {} student{} for every figure\n",
                                   job.students, job.students == 1 ? "" : "s");
    if (const int code = judge(part, job); code != 0) return code;
    found = evaluation_of(job);
  }
  if (!found)
    throw StateError(ErrorMessage{"reading '" + (job.run() / "records.jsonl").string() + "'",
                                  "the evaluation that was just made is not there",
                                  {},
                                  {}});
  print(environment, job, *found);
  return 0;
}

}  // namespace retort::cli
