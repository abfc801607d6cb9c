// retort cross-arch: sets under networks that they were not made with.
#include "cli/cross_arch_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "cli/eval_command.h"
#include "cli/host.h"
#include "cli/several.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "core/mean.h"
#include "core/version.h"
#include "eval/cross_arch.h"
#include "eval/held_out.h"
#include "report/cross_arch.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort cross-arch runs/a runs/b --data shapes --networks convnet,lenet,mlp --students 3 "
    "--out "
    "runs/cross\n"
    "  retort cross-arch runs/dm runs/mtt set.safetensors --data cifar-10-batches-bin --networks "
    "convnet,alexnet,vgg11,resnet18 --out runs/cross\n\n"
    "Every network has the learning rate that is best for it and the set on images that no student "
    "is "
    "tested\non. What was found is kept: the same command goes on after a stop, and takes more "
    "sets, "
    "networks and\nrates. OUT then holds report.html, cross-arch.csv and cross-arch.tex.\n";

/// Everything that one command line sets.
struct Settings {
  std::string words;  // the sets as they were given
  std::vector<std::string> sets;
  eval::CrossOptions options;
  data::DataOptions data;
  MachineOptions machine;
  std::string out;
  OptionSet all;

  Settings() {
    options.declare(all);
    all.group("Data");
    data.declare(all);
    machine.declare(all);
    all.group("Run");
    all.add("out", out, "the folder of the results", {}, Role::kExecution);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;
};

void check(const Settings& settings) {
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the folder of the results");
  if (settings.options.networks.empty()) problems.add("--networks: none is given");
  if (settings.options.rates.empty()) problems.add("--rates: none is given");
  problems.raise("reading the command line of 'retort cross-arch'");
  if (fs::exists(fs::path(settings.out) / "recipe.toml"))
    throw StateError(ErrorMessage{"opening the folder of results '" + settings.out + "'",
                                  "it holds something else, by its recipe.toml",
                                  "a new folder, or one of 'retort cross-arch'",
                                  "choose another --out"});
}

/// The last part of the path that tells the sets apart.
std::vector<std::string> names_of_sets(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (const std::string& path : paths) {
    const fs::path normal = fs::path(path).lexically_normal();
    const fs::path last = normal.has_filename() ? normal : normal.parent_path();
    names.push_back((fs::is_directory(path) ? last.filename() : last.stem()).string());
    ++seen[names.back()];
  }
  for (size_t i = 0; i < paths.size(); ++i)
    if (seen[names[i]] > 1) names[i] = paths[i];
  return names;
}

std::vector<eval::CrossRow> rows_of(const Environment& environment, const Settings& settings,
                                    const data::Dataset& data) {
  std::vector<eval::CrossRow> rows;
  const std::vector<std::string> names = names_of_sets(settings.sets);
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& target = settings.sets[i];
    eval::CrossRow row{names[i], synthetic::load_bundle(bundle_of(target))};
    fit_to_data(environment, "evaluating", target, data, row.bundle);
    eval::EvalOptions labels;
    labels.protocol = settings.options.protocol;
    if (fs::is_directory(target)) take_stored_labels(target, row.bundle, labels);
    row.student_labels = labels.student_labels;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Those that the sets were made with stand in front.
std::vector<std::string> networks_of(const std::vector<eval::CrossRow>& rows,
                                     const eval::CrossOptions& options) {
  std::vector<std::string> networks;
  const auto add = [&](const std::string& name) {
    if (std::find(networks.begin(), networks.end(), name) == networks.end())
      networks.push_back(name);
  };
  for (const eval::CrossRow& row : rows)
    if (!row.random) add(eval::own_network(row, options));
  for (const std::string& name : options.networks) add(name);
  return networks;
}

/// The page and the files of what is known by now; the page's path.
fs::path write_results(const fs::path& out, const Json& found) {
  const fs::path page = out / "report.html";
  write_atomically(out / "cross-arch.csv", report::cross_arch_csv(found));
  write_atomically(out / "cross-arch.tex", report::cross_arch_latex(found));
  write_atomically(page, report::render(report::cross_arch_page(found)));
  return page;
}

Json opening(const std::vector<eval::CrossRow>& rows, const std::vector<std::string>& networks,
             const Settings& settings, const data::Dataset& data) {
  Json sets = Json::array();
  for (const eval::CrossRow& row : rows) sets.push_back(to_json(row, settings.options));
  return {{"sets", sets},
          {"networks", networks},
          {"cells", Json::array()},
          {"data", data.name},
          {"data_hash", data.hash},
          {"split", data.split.words()},
          {"students", settings.options.students},
          {"seed", settings.options.seed},
          {"test_images", data.test.size()},
          {"held_out_images",
           eval::with_validation(data, settings.options.held_out, settings.options.seed)
               .validation.size()},
          {"program_version", version()}};
}

void print(const Environment& environment, const Json& found, const fs::path& page) {
  std::vector<std::vector<std::string>> lines{{"set", "labels"}};
  for (const Json& network : found.at("networks")) lines[0].push_back(network);
  for (const Json& set : found.at("sets")) {
    std::vector<std::string> line{set.at("set"), ""};
    for (const Json& cell : found.at("cells")) {
      if (cell.at("set") != set.at("set")) continue;
      line[1] = cell.at("labels");
      const auto accuracies = cell.at("accuracies").get<std::vector<double>>();
      const auto [mean, deviation] = mean_deviation(accuracies);
      line.push_back(percent(mean, deviation, std::ssize(accuracies)));
    }
    lines.push_back(std::move(line));
  }
  environment.out
      << fmt::format("test accuracy in percent on {} images, each network at its own best rate\n\n",
                     found.at("test_images").get<int64_t>())
      << aligned(lines) << "\nreport: " << page.string() << "\n";
}

}  // namespace

int run_cross_arch(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const Usage usage{"cross-arch",
                    "Trains many networks on many sets, each at its own best learning rate.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.all,
             {{"sets...", "run folders or bundles (.safetensors)", &settings.words}}))
    return 0;
  settings.sets = several(settings.words);
  check(settings);
  for (const std::string& target : settings.sets) take_run_options(target, settings.all);
  take_split_of(settings.options.teacher, settings.all);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data =
      open_data(environment, settings.data, fs::path(settings.out) / "cache");
  std::vector<eval::CrossRow> rows = rows_of(environment, settings, data);
  eval::check_cross(data, settings.options);
  const FolderLock lock(settings.out, {"folder of results", ""}, false);
  eval::KeptFigures kept(settings.out);
  const eval::CrossInput input{data,   settings.options,       kept,
                               device, environment.progress(), environment.stop};
  if (settings.options.random_baseline) eval::add_baselines(rows, input);
  const std::vector<std::string> networks = networks_of(rows, settings.options);
  Json found = opening(rows, networks, settings, data);
  fs::path page;
  const size_t total = rows.size() * networks.size();
  for (const eval::CrossRow& row : rows)
    for (const std::string& network : networks) {
      environment.err << fmt::format("cell {} of {}: {} on {}\n", found["cells"].size() + 1, total,
                                     network, row.name);
      const std::optional<Json> cell = eval::cross_cell(input, row, network);
      if (!cell) return say_stopped(environment);
      found["cells"].push_back(*cell);
      found["date"] = std::max(found.value("date", ""), cell->value("date", ""));
      page = write_results(settings.out, found);  // to be looked at on the way
    }
  if (settings.machine.json) {
    found["report"] = page.string();
    environment.out << json_text(found, 2) << "\n";
  } else {
    print(environment, found, page);
  }
  return 0;
}

}  // namespace retort::cli
