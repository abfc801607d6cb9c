#include "cli/reproduce_job.h"

#include "cli/sets_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "retort/core/error.h"

namespace retort::cli {
namespace {

constexpr const char* kDoing = "reading the command line of 'retort reproduce'";

/// The last of the pairs with this key that says anything.
std::string last_of(const std::vector<std::pair<std::string, std::string>>& pairs,
                    const std::string& key, const std::string& otherwise) {
  std::string found = otherwise;
  for (const auto& [name, text] : pairs)
    if (name == key && !text.empty()) found = text;
  return found;
}

}  // namespace

void ReproduceJob::declare(OptionSet& set) {
  set.group("Reproduction");
  set.add("data", data, "the data set's folder, or shapes, the built-in set");
  set.add("out", out, "the folder for all results");
  set.add("experts", experts, "a folder of experts to use; empty: they are trained in --out");
  set.add("teacher", teacher,
          "file of the teacher, for methods that recover images from one; it gives the students' "
          "labels as well");
  set.add("label_teacher", label_teacher,
          "file of the teacher that gives the students' labels, where it is another one");
  set.add("set", changes, "KEY=VALUE,...: keys of the recipe to replace");
  set.add("seeds", seeds, "a set for each of these seeds, as 0,1,2; empty: the recipe's own seed");
  set.add("students", students, "number of freshly initialised networks trained for every figure",
          {.min = 1, .max = 1000});
  machine.declare(set);
}

void ReproduceJob::read(const OptionSet& own) {
  OptionSet claims;
  claim.declare(claims);
  Problems problems;
  if (data.empty())
    problems.add("missing: --data, the data set's folder, or shapes, the built-in set");
  if (out.empty()) problems.add("missing: --out, the folder for all results");
  const Pairs said = read_flat_toml(recipe);
  for (const auto& [key, text] : said)
    if (claims.find(key)) claims.set(key, text, recipe + ": " + key, problems);
  const Pairs wanted = split_changes(problems);
  run.emplace(last_of(wanted, "method", last_of(said, "method", "dm")),
              last_of(wanted, "parametrisation", last_of(said, "parametrisation", "pixels")));
  run->options.read_toml(recipe, problems, keys_beside_distill());
  for (const auto& [key, text] : wanted) take(key, text, own, claims, problems);
  keep_data_options();
  check_length(problems);
  if (!seeds.empty()) {
    seed_folders(folder(), seeds, problems);
    for (const auto& [key, text] : wanted)
      if (key == "seed") problems.add("--set seed and --seeds: give one of them");
  }
  claim.deviation_known = claims.find("published_deviation")->was_set;
  if (!claim.label_teacher.empty() && label_teacher.empty())
    problems.add(
        "missing: --label-teacher, file of the teacher that gives the students' labels: the recipe "
        "has another one for them, " +
        claim.label_teacher);
  give_run(problems);
  problems.raise(kDoing);
}

/// A word without "=" goes on with the list that the one before began.
ReproduceJob::Pairs ReproduceJob::split_changes(Problems& problems) const {
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

void ReproduceJob::take(const std::string& key, const std::string& text, const OptionSet& own,
                        OptionSet& claims, Problems& problems) {
  const std::string origin = "--set " + key;
  if (own.find(key) && !claims.find(key)) {
    problems.add(origin + ": this is not a key of a recipe; give --" + key + " itself");
  } else if (claims.find(key)) {
    claims.set(key, text, origin, problems);
  } else if (key == "recipe") {
    problems.add(origin + ": the recipe is the word after 'retort reproduce'");
  } else if (!run->options.find(key)) {
    const std::string near = nearest(key, run->options.names());
    problems.add(fmt::format("{}: there is no option --{}{}", origin, key,
                             near.empty() ? "" : "; did you mean --" + near + "?"));
  } else {
    run->options.set(key, text, origin, problems);
  }
}

void ReproduceJob::keep_data_options() {
  data::DataOptions unused;
  OptionSet known;
  unused.declare(known);
  for (const Option& option : run->options.all())
    if (option.was_set && option.name != "data" && known.find(option.name))
      data_options_.emplace_back(option.name, option.text());
}

/// What would be refused only once the experts are trained.
void ReproduceJob::check_length(Problems& problems) const {
  const Option* followed = run->options.find("expert_epochs");
  const Option* start = run->options.find("max_start_epoch");
  if (!followed || !start || claim.experts_count == 0 || !experts.empty()) return;
  const int64_t needed =
      *std::get<int64_t*>(start->target) - 1 + *std::get<int64_t*>(followed->target);
  if (needed > claim.experts_epochs)
    problems.add(
        fmt::format("experts of {} epochs: max_start_epoch {} and expert_epochs {} need "
                    "{}",
                    claim.experts_epochs, start->text(), followed->text(), needed));
}

/// What the command line says of the run itself.
void ReproduceJob::give_run(Problems& problems) {
  Pairs given{{"recipe", recipe},
              {"data", data},
              {"out", folder().string()},
              {"device", machine.device},
              {"threads", std::to_string(machine.threads)}};
  if (!experts.empty()) given.emplace_back("experts", experts);
  if (!teacher.empty()) given.emplace_back("teacher", teacher);
  for (const auto& [key, text] : given) {
    if (run->options.find(key))
      run->options.set(key, text, "--" + key, problems);
    else
      problems.add(
          fmt::format("there is no option --{}: '{}' takes none", key, run->loop().method));
  }
}

void ReproduceJob::use_experts(const std::string& path) {
  experts = path;
  give(run->options, "experts", path);
}

void ReproduceJob::give_experts(ExpertsSettings& settings) const {
  Pairs given{{"data", data},
              {"network", run->loop().network},
              {"out", experts},
              {"count", std::to_string(claim.experts_count)},
              {"epochs", std::to_string(claim.experts_epochs)},
              {"learning_rate", fmt::format("{}", claim.experts_learning_rate)},
              {"augmentation", claim.experts_augmentation}};
  if (claim.experts_flat)
    given.insert(given.end(),
                 {{"flat", "yes"}, {"gsam_alpha", fmt::format("{}", claim.experts_gsam_alpha)}});
  given.insert(given.end(), data_options_.begin(), data_options_.end());
  given.insert(given.end(),
               {{"device", machine.device}, {"threads", std::to_string(machine.threads)}});
  for (const auto& [key, text] : given) give(settings.options, key, text);
}

void ReproduceJob::give_evaluation(EvalSettings& settings) const {
  settings.target = folder().string();
  Pairs given{{"data", data}, {"students", std::to_string(students)}};
  if (claim.evaluation_epochs > 0)
    given.emplace_back("evaluation_epochs", std::to_string(claim.evaluation_epochs));
  const std::string& labels = label_teacher.empty() ? teacher : label_teacher;
  if (!labels.empty()) given.emplace_back("teacher", labels);
  given.insert(given.end(),
               {{"device", machine.device}, {"threads", std::to_string(machine.threads)}});
  for (const auto& [key, text] : given) give(settings.set, key, text);
}

}  // namespace retort::cli
