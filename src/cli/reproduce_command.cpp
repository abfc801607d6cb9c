// retort reproduce: experts, distillation and evaluation of a recipe in one go, and the result
// beside the published one. Every part goes on where it was; so does the whole.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <optional>
#include <ostream>

#include "cli/distill_sets.h"
#include "cli/eval_command.h"
#include "cli/experts_command.h"
#include "cli/reproduce_estimate.h"
#include "cli/reproduce_job.h"
#include "cli/run_report.h"
#include "cli/sets_folder.h"
#include "core/mean.h"
#include "retort/core/records.h"

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

MakeSettings maker(const ReproduceJob& job) {
  return [&job] {
    return std::make_unique<DistillSettings>(job.run->loop().method,
                                             job.run->loop().parametrisation);
  };
}

/// Refuses what the run, or the first of several sets, would be refused for.
void check_run(const Environment& environment, const ReproduceJob& job) {
  const auto run = given_again(*job.run, maker(job));
  Problems none;
  const auto folders = seed_folders(job.folder(), job.seeds, none);
  if (!folders.empty()) {
    give(run->options, "seed", std::to_string(folders.front().seed));
    give(run->options, "out", folders.front().path.string());
  }
  check_distil(environment, *run);
}

/// Says what a run from the beginning will take. Experts take hours: what the run itself would
/// refuse is refused before.
void announce(const Environment& environment, const Arguments& arguments, const ReproduceJob& job) {
  if (fs::exists(job.folder()) || fs::exists(fs::path(job.out) / "experts")) return;
  check_run(environment, job);
  if (environment.group->size() > 1) return;
  environment.err << "reproduce: measuring how long it will take\n";
  environment.err << fmt::format("reproduce: {}, by a few steps of every part\n",
                                 in_words(expected_of_reproduction(environment, arguments)));
}

int train_experts(const Environment& environment, const ReproduceJob& job) {
  environment.err << fmt::format("reproduce: {} expert{} of {} epoch{}\n", job.claim.experts_count,
                                 job.claim.experts_count == 1 ? "" : "s", job.claim.experts_epochs,
                                 job.claim.experts_epochs == 1 ? "" : "s");
  ExpertsSettings settings;
  job.give_experts(settings);
  return make_experts(environment, settings);
}

std::optional<Json> evaluate(const Environment& environment, const ReproduceJob& job) {
  environment.err << fmt::format("reproduce: evaluation, {} student{} for every figure\n",
                                 job.students, job.students == 1 ? "" : "s");
  EvalSettings settings;
  job.give_evaluation(settings);
  return judge(environment, settings);
}

/// True where students of an evaluation were trained for as long as the job asks.
bool as_long(const ReproduceJob& job, const Json& evaluation) {
  if (job.claim.evaluation_epochs == 0) return !evaluation.value("shortened", false);
  const Json& results = evaluation.at("results");
  return !results.empty() && results[0].value("epochs", int64_t{0}) == job.claim.evaluation_epochs;
}

/// The evaluation on the test part with as many students for as long, where the records of a run
/// have it after the end of the run: one from before more iterations judged another set.
std::optional<Json> evaluation_in(const ReproduceJob& job, const fs::path& folder) {
  std::optional<Json> found;
  for (const Json& record : read_records(folder / "records.jsonl"))
    if (record.value("kind", "") == "finish")
      found.reset();
    else if (record.value("kind", "") == "evaluation" && record.value("part", "") == "test" &&
             record.value("students", int64_t{0}) == job.students && as_long(job, record))
      found = record;
  return found;
}

/// That of the run, or of all sets, each of which has its own as well.
std::optional<Json> evaluation_of(const ReproduceJob& job) {
  std::optional<Json> found = evaluation_in(job, job.folder());
  if (job.seeds.empty() || !found) return found;
  const std::vector<SeedFolder> sets = sets_in(job.folder());
  if (found->value("sets", Json::array()).size() != sets.size()) return {};
  for (const SeedFolder& set : sets)
    if (!evaluation_in(job, set.path)) return {};
  return found;
}

struct Figure {
  double mean = 0, deviation = 0;
  bool there = false;
  std::string spreads;  ///< of several sets
};

std::string spreads_of(const Json& result) {
  if (!result.contains("sets")) return {};
  return fmt::format("± {:.1f} over {} sets, ± {:.1f} over the students of a set",
                     100 * result.value("deviation_over_sets", 0.0), result["sets"].size(),
                     100 * result.value("deviation_over_students", 0.0));
}

Figure figure_of(const Json& evaluation, const std::string& subject) {
  for (const Json& result : evaluation.at("results"))
    if (result.value("subject", "") == subject)
      return {result.value("mean", 0.0), result.value("deviation", 0.0), true, spreads_of(result)};
  return {};
}

/// "reached", or by how much it was missed; a change of settings is said, too. A deviation that was
/// not published is not taken for 0, but left out.
std::string verdict(const ReproduceJob& job, const Figure& ours) {
  const PublishedResult& claim = job.claim;
  if (claim.published_accuracy == 0) return "nothing is published for this recipe";
  const double gap = ours.mean * 100 - claim.published_accuracy;
  const bool one = job.students == 1 && ours.spreads.empty();
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

std::string published(double accuracy, bool deviation_known = false, double deviation = 0) {
  if (accuracy == 0) return "-";
  return deviation_known ? percent(accuracy / 100, deviation / 100)
                         : fmt::format("{:.1f}", accuracy);
}

void print(const Environment& environment, const ReproduceJob& job, const Json& evaluation) {
  const Figure ours = figure_of(evaluation, "distilled"), random = figure_of(evaluation, "random");
  const std::string said = verdict(job, ours);
  if (job.machine.json) {
    Json published_deviation;  // null where the paper gives none
    if (job.claim.deviation_known) published_deviation = job.claim.published_deviation;
    environment.out << json_text(Json{{"recipe", job.recipe},
                                      {"out", job.out},
                                      {"evaluation", evaluation},
                                      {"changed", job.changes},
                                      {"published_accuracy", job.claim.published_accuracy},
                                      {"published_deviation", published_deviation},
                                      {"verdict", said}},
                                 2)
                    << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"accuracy %", "ours", "published"}};
  const int64_t values = ours.spreads.empty() ? job.students : 2;
  rows.push_back({"distilled", percent(ours.mean, ours.deviation, values),
                  published(job.claim.published_accuracy, job.claim.deviation_known,
                            job.claim.published_deviation)});
  if (random.there)
    rows.push_back({"random real images", percent(random.mean, random.deviation, job.students),
                    published(job.claim.published_random)});
  environment.out << fmt::format("{}, protocol {}, {} student{}\n\n", job.recipe,
                                 evaluation.value("protocol", ""), job.students,
                                 job.students == 1 ? "" : "s")
                  << aligned(rows) << "\n"
                  << (ours.spreads.empty() ? "" : "distilled: " + ours.spreads + "\n") << said
                  << "\nreport: " << write_report(job.folder()).string() << "\n";
}

}  // namespace

int run_reproduce(const Environment& environment, const Arguments& arguments) {
  ReproduceJob job;
  OptionSet set;
  job.declare(set);
  const Usage usage{"reproduce",
                    "Runs a recipe whole (experts, distillation, evaluation) and prints the result "
                    "beside the published one.",
                    kExamples};
  if (!parse(environment, usage, arguments, set, {{"recipe", "a file of recipes/", &job.recipe}}))
    return 0;
  job.read(set);
  // What the parts print is progress here: standard output is for the result.
  Environment part{environment.err,   environment.err,  environment.terminal,
                   environment.width, environment.stop, {},
                   environment.debug, environment.host, environment.group};
  const bool trains = job.claim.experts_count > 0 && job.experts.empty();
  if (trains) job.use_experts((fs::path(job.out) / "experts").string());
  part.cache = fs::path(job.out) / "cache";
  announce(part, arguments, job);
  if (const int code = trains ? train_experts(part, job) : 0; code != 0) return code;
  environment.err << "reproduce: distillation\n";
  const int code = job.seeds.empty() ? distil(part, *job.run)
                                     : distil_sets(part, *job.run, job.seeds, maker(job));
  if (code != 0) return code;
  std::optional<Json> found = evaluation_of(job);
  if (!found) found = evaluate(part, job);
  if (!found) return kStopped;
  if (environment.group->first()) print(environment, job, *found);
  return 0;
}

}  // namespace retort::cli
