// retort score: finished sets scored as DD-Ranking defines it, coresets beside them.

#include <filesystem>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "cli/score_page.h"
#include "cli/several.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "eval/held_out.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort score runs/dm runs/mtt --data cifar-10-batches-bin --out scores/\n"
    "  retort score imported.safetensors --data cifar-10-batches-bin --coresets random,herding "
    "--evaluation-epochs 300 --out scores/\n"
    "  retort score runs/rded --data cifar-10-batches-bin --protocol rded --teacher "
    "teacher.safetensors --out soft/\n\n"
    "`retort import` reads published sets. Every figure is kept in the folder: a command that was "
    "stopped\ngoes on when it is given again, and the same options with more sets train only what "
    "is new.\n";

const FolderKind kScoreFolder{"folder of scores", ""};

struct Settings {
  eval::ScoreOptions score;
  data::DataOptions data;
  MachineOptions machine;
  std::string out;
  OptionSet options;

  Settings() {
    score.declare(options);
    options.group("Data");
    data.declare(options);
    machine.declare(options);
    options.group("Run");
    options.add("out", out, "the folder of the scores", {}, Role::kExecution);
  }
};

void check(const Settings& settings) {
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the folder of the scores");
  if (settings.score.rates.empty()) problems.add("--rates names no learning rate");
  problems.raise("reading the options of 'retort score'");
}

struct Opened {
  data::Dataset whole;
  std::vector<synthetic::Bundle> bundles;
};

/// The data and the sets, which fit each other.
Opened open_all(const Environment& environment, const Settings& settings,
                const std::vector<std::string>& sets) {
  Opened opened{open_data(environment, settings.data), {}};
  for (const std::string& set : sets) {
    synthetic::Bundle& bundle = opened.bundles.emplace_back(synthetic::load_bundle(bundle_of(set)));
    fit_to_data(environment, "scoring", set, opened.whole, bundle);
  }
  return opened;
}

/// Nothing where it was asked to stop.
std::optional<std::vector<eval::Score>> score_all(const Environment& environment,
                                                  const Settings& settings,
                                                  const std::vector<std::string>& sets,
                                                  const Opened& opened, at::Device device) {
  const data::Dataset data =
      eval::with_validation(opened.whole, settings.score.held_out, settings.score.seed);
  eval::KeptFigures kept(settings.out);
  const eval::ScoreRun run{
      data, settings.score, kept, settings.out, device, environment.progress(), environment.stop};
  std::vector<eval::Score> scores;
  for (size_t i = 0; i < sets.size(); ++i) {
    auto score = eval::score_set(run, sets[i], opened.bundles[i]);
    if (!score) return {};
    scores.push_back(std::move(*score));
  }
  return scores;
}

void print(const Environment& environment, const Settings& settings,
           const std::vector<eval::Score>& scores, const fs::path& page) {
  if (settings.machine.json) {
    environment.out << json_text(scores_json(scores), 2) << "\n";
    return;
  }
  const report::Page shown = score_page(scores, settings.options.toml());
  environment.out << as_text(shown.tables);
  for (const std::string& note : shown.notes) environment.out << "note: " << note << "\n";
  environment.out << "report: " << page.string() << "\n";
}

}  // namespace

int run_score(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  std::string words;
  const Usage usage{"score",
                    "Scores finished sets: hard-label recovery, improvement over random, "
                    "label-robust and augmentation-robust scores.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.options,
             {{"sets...", "run folders or bundles (.safetensors)", &words}}))
    return 0;
  const std::vector<std::string> sets = several(words);
  check(settings);
  for (const std::string& set : sets) take_run_options(set, settings.options);
  take_split_of(settings.score.teacher, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const fs::path folder = settings.out;
  folder_started(folder, settings.options, kScoreFolder);
  const Opened opened = open_all(environment, settings, sets);
  const FolderLock lock(folder, kScoreFolder, false);
  write_atomically(folder / "recipe.toml", settings.options.toml());
  const auto scores = score_all(environment, settings, sets, opened, device);
  if (!scores) return say_stopped(environment);
  write_atomically(folder / "scores.json", json_text(scores_json(*scores), 1) + "\n");
  write_atomically(folder / "scores.csv", scores_csv(*scores));
  write_atomically(folder / "report.html",
                   report::render(score_page(*scores, settings.options.toml())));
  print(environment, settings, *scores, folder / "report.html");
  return 0;
}

}  // namespace retort::cli
