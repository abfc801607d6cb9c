#include "cli/eval_sets.h"

#include <fmt/format.h>

#include <ostream>

#include "cli/host.h"
#include "cli/run_report.h"
#include "cli/sets_folder.h"
#include "core/file.h"
#include "core/interval.h"
#include "core/mean.h"
#include "eval/over_sets.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

/// A hash of all that changes the figures of an evaluation, but the set; empty where students are
/// somebody else's.
std::string asked_of(const Environment& environment, const EvalSettings& settings) {
  if (environment.host && !environment.host->learners.empty()) return {};
  std::string text;
  for (const Option& option : settings.set.all())
    if (option.role == Role::kResult || option.name == "teacher")
      text += option.name + "=" + option.text() + "\n";
  return hex(hash_bytes(text.data(), text.size()));
}

/// The evaluation of the run as it is that was asked for in the same words.
std::optional<Json> evaluated_before(const fs::path& run, const std::string& asked) {
  std::optional<Json> found;
  for (Json& record : read_records(run / "records.jsonl")) {
    if (record.value("kind", "") == "finish") found.reset();
    if (record.value("kind", "") == "evaluation" && !asked.empty() &&
        record.value("asked", "") == asked)
      found = std::move(record);
  }
  return found;
}

/// Random and whole real images are the same for every set: judged with the first, they stand in
/// the records of all.
void take_baselines(const Json& first, Json& record) {
  for (const Json& result : first.at("results"))
    if (result.at("subject") != "distilled") record["results"].push_back(result);
}

/// They count once.
void drop_baselines(Json& record) {
  Json own = Json::array();
  for (Json& result : record["results"])
    if (result.at("subject") == "distilled") own.push_back(std::move(result));
  record["results"] = std::move(own);
}

std::string points_of(const Json& result, const char* key) {
  return result.contains(key) ? fmt::format("{:.1f}", 100 * result.at(key).get<double>()) : "-";
}

std::vector<double> set_means(const Json& result) {
  std::vector<double> means;
  for (const Json& set : result.at("sets"))
    means.push_back(mean_deviation(set.at("accuracies").get<std::vector<double>>()).mean);
  return means;
}

void print_sets(const Environment& environment, const Json& record) {
  std::vector<std::vector<std::string>> rows{{"network", "trained on", "sets", "students each",
                                              "accuracy %", "± over sets", "± over students",
                                              "interval of 95 %"}};
  const auto students = record.at("students").get<int64_t>();
  for (const Json& result : record.at("results")) {
    const bool several = result.contains("sets");
    const auto accuracies = result.at("accuracies").get<std::vector<double>>();
    const Interval interval = interval_of(several ? set_means(result) : accuracies);
    const std::string alone =
        students > 1 ? fmt::format("{:.1f}", 100 * result.at("deviation").get<double>()) : "-";
    rows.push_back({result.at("network"), result.at("subject"),
                    several ? std::to_string(result.at("sets").size()) : "-",
                    std::to_string(students),
                    fmt::format("{:.1f}", 100 * result.at("mean").get<double>()),
                    points_of(result, "deviation_over_sets"),
                    !several       ? alone
                    : students > 1 ? points_of(result, "deviation_over_students")
                                   : "-",
                    interval.low == interval.low
                        ? fmt::format("{:.1f} to {:.1f}", 100 * interval.low, 100 * interval.high)
                        : "-"});
  }
  environment.out
      << fmt::format(
             "{} sets, protocol {}, {} labels, tested on {} images of the {} part, seed "
             "{}\n\n",
             record.at("sets").size(), record.value("protocol", ""),
             record.value("soft_labels", false) ? "soft" : "hard",
             record.value("test_images", int64_t{0}), record.value("part", ""),
             record.value("seed", int64_t{0}))
      << aligned(rows)
      << "\n± over sets: standard deviation of the sets' means; ± over students: that "
         "among the students of a set; the interval is of the mean over sets\n";
  for (const Json& note : record.at("notes"))
    environment.out << "note: " << note.get<std::string>() << "\n";
}

/// One set's evaluation, kept with its run; the record that is there already where it was made
/// before.
std::optional<Json> evaluate_set(const Environment& environment, EvalSettings& settings,
                                 const fs::path& run, const std::string& asked, const Json* first) {
  const bool first_process = environment.group->first();
  const std::optional<Json> before = evaluated_before(run, asked);
  if (environment.group->agree(before ? 1 : 0) != 0) {
    if (first_process) environment.err << run.string() << " was evaluated before\n";
    return before;
  }
  settings.target = run.string();
  std::optional<Evaluated> found = evaluated(environment, settings);
  if (!found) return {};
  if (!asked.empty()) found->record["asked"] = asked;
  if (first) take_baselines(*first, found->record);
  if (first_process) keep_evaluation(environment, run, found->record);
  environment.group->barrier();
  return found->record;
}

/// True where the folder's last evaluation says the same.
bool kept_already(const fs::path& folder, const Json& record) {
  const std::vector<Json> records = read_records(folder / "records.jsonl");
  return !records.empty() && records.back().contains("results") &&
         json_text(records.back().at("results")) == json_text(record.at("results"));
}

}  // namespace

std::optional<Json> judge_sets(const Environment& environment, EvalSettings& settings) {
  const fs::path folder = settings.target;
  const std::vector<SeedFolder> sets = sets_in(folder);
  for (const SeedFolder& set : sets) bundle_of(set.path.string());  // all are finished
  const std::string asked = asked_of(environment, settings);
  const std::string labels = settings.options.student_labels;
  std::vector<eval::SetEvaluation> all;
  for (const SeedFolder& set : sets) {
    settings.options.student_labels = labels;  // a set may have stored ones of its own
    environment.err << fmt::format("set {} of {}: {}\n", all.size() + 1, sets.size(),
                                   set.path.string());
    const Json* first = all.empty() ? nullptr : &all.front().record;
    if (first) settings.options.random_baseline = settings.options.whole_set = false;
    std::optional<Json> record = evaluate_set(environment, settings, set.path, asked, first);
    if (!record) return {};
    all.push_back({set.name(), std::move(*record)});
  }
  for (size_t i = 1; i < all.size(); ++i) drop_baselines(all[i].record);
  Json record = eval::over_sets(all);
  if (!environment.group->first()) return record;
  const fs::path page = kept_already(folder, record) ? write_report(folder)
                                                     : keep_evaluation(environment, folder, record);
  if (settings.machine.json) {
    environment.out << json_text(record, 2) << "\n";
    return record;
  }
  print_sets(environment, record);
  environment.out << "report: " << page.string() << "\n";
  return record;
}

}  // namespace retort::cli
