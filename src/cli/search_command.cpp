// retort search: many networks ranked by training on a set, and the ranking held against the whole.
#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "cli/search_page.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "eval/held_out.h"
#include "eval/search_space.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"
#include "retort/eval/evaluate.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort search --sets runs/dm --data cifar-10-batches-bin --depths 1,2,3 --widths 32,64 "
    "--out "
    "search/\n"
    "  retort search --sets runs/dm,runs/mtt --networks names.txt --whole-set=no --data "
    "cifar-10-batches-bin --out quick/\n"
    "  retort search --sets runs/dm --data cifar-10-batches-bin --out all/ --estimate\n\n"
    "Every trained network is a line of records: a search that was stopped or killed goes on when "
    "its\ncommand is given again. On a CPU networks are trained side by side, one on a thread.\n";

const FolderKind kSearchFolder{"folder of a search", ""};

struct Settings {
  std::vector<std::string> sets;
  eval::SearchOptions search;
  eval::SearchSpace space;
  data::DataOptions data;
  MachineOptions machine;
  std::string out;
  bool estimate = false;
  OptionSet options;

  Settings() {
    search.declare(options);
    options.add("sets", sets, "run folders or bundles, a proxy each");
    space.declare(options);
    options.group("Data");
    data.declare(options);
    machine.declare(options);
    options.group("Run");
    options.add("out", out, "the folder of the search", {}, Role::kExecution);
    options.add("estimate", estimate, "say how long it will take, and stop", {}, Role::kExecution);
  }
};

void check(const Settings& settings) {
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the folder of the search");
  if (!settings.options.find("data")->was_set)
    problems.add("missing: --data, the data set's folder, or shapes, the built-in set");
  problems.raise("reading the options of 'retort search'");
  settings.search.top_counts();
}

using Sets = std::vector<std::pair<std::string, synthetic::Bundle>>;

Sets load_sets(const Environment& environment, const Settings& settings,
               const data::Dataset& data) {
  Sets sets;
  for (const std::string& name : settings.sets) {
    sets.emplace_back(name, synthetic::load_bundle(bundle_of(name)));
    fit_to_data(environment, "searching with", name, data, sets.back().second);
  }
  return sets;
}

/// All networks are made once: one that does not fit the images is refused before any is trained.
std::vector<std::string> networks_of(const Settings& settings, const data::Dataset& data) {
  std::vector<std::string> names = settings.space.names();
  for (const std::string& name : names)
    nets::make_network(name, {data.channels, data.height, data.width, data.classes()});
  return names;
}

void print(const Environment& environment, const Settings& settings,
           const eval::SearchResult& result) {
  if (settings.machine.json) {
    environment.out << json_text(eval::to_json(result), 2) << "\n";
    return;
  }
  const report::Page page = search_page(result, "");
  environment.out << page.summary << "\n\n" << as_text(page.tables);
  for (const std::string& note : page.notes) environment.out << "note: " << note << "\n";
  environment.out << "report: " << (fs::path(settings.out) / "report.html").string() << "\n";
}

void say_estimate(const Environment& environment, const Settings& settings,
                  const eval::SearchRun& run) {
  const double seconds = eval::remaining_seconds(run) / run.threads;
  if (settings.machine.json)
    environment.out << json_text(Json{{"estimate", {{"seconds", seconds}}}}, 2) << "\n";
  else
    environment.out << fmt::format("estimate: {} on {} thread{}\n", format_duration(seconds),
                                   run.threads, run.threads == 1 ? "" : "s");
}

}  // namespace

int run_search(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const Usage usage{"search",
                    "Ranks many networks by training each on a small set, and holds the ranking "
                    "against one of training on the whole set.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.options)) return 0;
  check(settings);
  for (const std::string& set : settings.sets) take_run_options(set, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const fs::path folder = settings.out;
  const ProcessGroup& group = *environment.group;
  folder_started(folder, settings.options, kSearchFolder);
  const data::Dataset whole = open_data(environment, settings.data);
  const Sets sets = load_sets(environment, settings, whole);
  const data::Dataset data =
      eval::with_validation(whole, settings.search.held_out, settings.search.seed);
  const std::vector<std::string> networks = networks_of(settings, data);
  const eval::Proxies proxies(sets, data, settings.search, device);
  group.barrier();  // all have looked at the folder
  std::optional<FolderLock> lock;
  if (group.first() && !settings.estimate) {
    lock.emplace(folder, kSearchFolder, false);
    write_atomically(folder / "recipe.toml", settings.options.toml());
  }
  group.barrier();
  eval::KeptFigures kept(folder, settings.estimate ? -1 : group.rank());
  const eval::SearchRun run{data,
                            networks,
                            proxies,
                            settings.search,
                            kept,
                            device,
                            device.is_cpu() ? settings.machine.threads_used : 1,
                            environment.progress(),
                            environment.stop,
                            group};
  if (settings.estimate) {
    say_estimate(environment, settings, run);
    return 0;
  }
  const auto result = eval::search(run);
  if (!result) return say_stopped(environment);
  if (!group.first()) return 0;
  write_atomically(folder / "search.json", json_text(eval::to_json(*result), 1) + "\n");
  write_atomically(folder / "search.csv", search_csv(*result));
  write_atomically(folder / "report.html",
                   report::render(search_page(*result, settings.options.toml())));
  print(environment, settings, *result);
  return 0;
}

}  // namespace retort::cli
