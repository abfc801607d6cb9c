#include "cli/zoo.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "cli/arguments.h"
#include "cli/published_result.h"
#include "cli/sets_folder.h"
#include "core/file.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What the authors of the data allow; sets distilled from them follow it.
std::string licence_of(const std::string& data) {
  if (data == "fashion-mnist") return "MIT";
  return "no formal licence: for research";
}

std::string value_of(const Pairs& pairs, const std::string& key) {
  for (const auto& [name, text] : pairs)
    if (name == key) return text;
  return {};
}

std::optional<double> number_of(const std::string& text) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

/// 100 and 100.0 are one value.
bool same_value(const std::string& a, const std::string& b) {
  const std::optional<double> x = number_of(a), y = number_of(b);
  return x && y ? *x == *y : a == b;
}

/// What a run was given that its recipe says otherwise.
void note_changes(const Pairs& recipe, const Pairs& run, const std::string& before,
                  std::vector<std::string>& changes) {
  for (const auto& [key, text] : run) {
    const std::string published = value_of(recipe, before + key);
    if (!published.empty() && !same_value(published, text))
      changes.push_back(before + key + "=" + text);
  }
}

/// Experts are of the run's own data: only how many and how long can differ.
void note_expert_changes(const Pairs& recipe, const fs::path& experts,
                         std::vector<std::string>& changes) {
  Pairs kept;
  for (const auto& [key, text] : read_flat_toml((experts / "recipe.toml").string()))
    if (key == "count" || key == "epochs" || key == "learning_rate") kept.emplace_back(key, text);
  note_changes(recipe, kept, "experts_", changes);
}

[[noreturn]] void refuse(const fs::path& run, const std::string& found) {
  throw StateError(ErrorMessage{"adding '" + run.string() + "' to the zoo", found,
                                "the folder of a finished 'retort reproduce'",
                                "finish it with the command that started it"});
}

fs::path run_of(const fs::path& reproduction) {
  const fs::path inner = reproduction / "run";
  const fs::path run = fs::is_directory(inner) ? inner : reproduction;
  const std::vector<SeedFolder> sets = sets_in(run);
  return sets.empty() ? run : sets.front().path;
}

void note_shortening(const Pairs& recipe, const Json& evaluation,
                     std::vector<std::string>& changes) {
  if (!evaluation.value("shortened", false)) return;
  const std::string epochs =
      std::to_string(evaluation.at("results").at(0).value("epochs", int64_t{0}));
  if (!same_value(value_of(recipe, "evaluation_epochs"), epochs))
    changes.push_back("evaluation_epochs=" + epochs);
}

/// The last evaluation on the test part.
Json evaluation_of(const fs::path& run) {
  Json found;
  for (const Json& record : read_records(run / "records.jsonl"))
    if (record.value("kind", "") == "evaluation" && record.value("part", "") == "test")
      found = record;
  if (found.is_null()) refuse(run, "it holds no evaluation on the test part");
  return found;
}

/// To two decimals.
double percent_of(const Json& result, const char* key) {
  return std::round(1e4 * result.value(key, 0.0)) / 100;
}

void take_evaluation(const Json& evaluation, ZooCard& card) {
  card.students = evaluation.value("students", int64_t{0});
  card.protocol = evaluation.value("protocol", "");
  for (const Json& result : evaluation.at("results")) {
    const double mean = percent_of(result, "mean"), deviation = percent_of(result, "deviation");
    if (result.value("subject", "") == "distilled") {
      card.network = result.value("network", "");
      card.accuracy = mean;
      card.deviation = deviation;
    } else {
      card.random = fmt::format("{:.1f} ± {:.1f}", mean, deviation);
    }
  }
}

void take_claim(const Pairs& recipe, ZooCard& card) {
  const std::string accuracy = value_of(recipe, "published_accuracy");
  const std::string deviation = value_of(recipe, "published_deviation");
  if (!accuracy.empty()) card.published = accuracy;
  if (!deviation.empty()) card.published += " ± " + deviation;
}

/// The Python module that this is part of, or empty.
fs::path module_file() {
  Dl_info about{};
  if (dladdr(reinterpret_cast<void*>(&zoo_folder), &about) == 0 || !about.dli_fname) return {};
  const fs::path file = about.dli_fname;  // of a program: the word that it was started by
  return file.extension() == ".so" ? file : fs::path();
}

void check_new_name(const fs::path& folder, const std::string& name) {
  const std::string doing = "adding the set '" + name + "' to the zoo";
  if (fs::path(name).filename() != name || name.starts_with('.'))
    throw ConfigError(
        ErrorMessage{doing, "its name is no name of a file", "as dsa-cifar10-ipc1", {}});
  if (fs::exists(folder / (name + ".safetensors")) || fs::exists(folder / (name + ".toml")))
    throw ConfigError(ErrorMessage{doing,
                                   "the zoo holds one of that name already",
                                   {},
                                   "give another name, or remove that set and its card first"});
}

/// Candidates relative to the module and to the program.
std::vector<fs::path> places() {
  std::vector<fs::path> all;
  if (const fs::path module = module_file(); !module.empty())
    all.push_back(module.parent_path() / "zoo");
  std::error_code problem;
  const fs::path program = fs::canonical("/proc/self/exe", problem).parent_path();
  for (const char* place : {"../share/retort/zoo", "../zoo", "../../zoo"})
    all.push_back((program / place).lexically_normal());
  return all;
}

}  // namespace

void ZooCard::declare(OptionSet& options) {
  options.add("recipe", recipe, "");
  options.add("changes", changes, "");
  options.add("method", method, "");
  options.add("data", data, "");
  options.add("licence", licence, "");
  options.add("images", images, "", {.min = 1});
  options.add("labels", labels, "", {.choices = {"hard", "soft"}});
  options.add("network", network, "");
  options.add("protocol", protocol, "");
  options.add("students", students, "", {.min = 1});
  options.add("accuracy", accuracy, "", {.min = 0, .max = 100});
  options.add("deviation", deviation, "", {.min = 0, .max = 100});
  options.add("random", random, "");
  options.add("published", published, "");
  options.add("seed", seed, "", {.min = 0});
  options.add("content_hash", content_hash, "");
  options.add("program_version", program_version, "");
}

fs::path zoo_folder() {
  const std::vector<fs::path> all = places();
  for (const fs::path& place : all)
    if (fs::is_directory(place)) return place;
  throw ResourceError(ErrorMessage{
      "opening the zoo",
      fmt::format("no folder of sets beside the program (looked at {})", all.back().string()),
      "a folder of NAME.safetensors and NAME.toml", "name one with --folder"});
}

std::vector<ZooCard> zoo_cards(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw DataError::missing(folder.string(), "a folder of NAME.safetensors and NAME.toml");
  std::map<std::string, fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".toml") files[entry.path().stem().string()] = entry.path();
  std::vector<ZooCard> cards;
  for (const auto& [name, file] : files) {
    ZooCard card;
    card.name = name;
    OptionSet options;
    card.declare(options);
    Problems problems;
    options.read_toml(file.string(), problems);
    problems.raise("reading the card '" + file.string() + "'");
    cards.push_back(std::move(card));
  }
  return cards;
}

ZooCard add_to_zoo(const fs::path& folder, const std::string& name, const fs::path& reproduction) {
  check_new_name(folder, name);
  const fs::path run = run_of(reproduction);
  const Pairs said = read_flat_toml((run / "recipe.toml").string());
  ZooCard card;
  card.name = name;
  card.recipe = value_of(said, "recipe");
  if (card.recipe.empty()) refuse(run, "it was not made from a recipe file");
  const Pairs recipe = read_flat_toml(card.recipe);
  note_changes(recipe, said, "", card.changes);
  if (const std::string experts = value_of(said, "experts"); !experts.empty())
    note_expert_changes(recipe, experts, card.changes);
  take_claim(recipe, card);
  const Json evaluation = evaluation_of(run);
  note_shortening(recipe, evaluation, card.changes);
  take_evaluation(evaluation, card);

  synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(run.string()));
  if (bundle.preprocessing.kind() == "zca") bundle.preprocessing_missing = true;
  const fs::path file = folder / (name + ".safetensors");
  synthetic::save_bundle(file, bundle);
  card.method = bundle.method;
  card.data = bundle.data_name;
  card.licence = licence_of(bundle.data_name);
  card.images = bundle.images.size(0);
  card.seed = bundle.seed;
  card.labels = bundle.soft_labels.defined() ? "soft" : "hard";
  card.program_version = bundle.program_version;
  card.content_hash = load_tensors(file).metadata.at("content_hash");
  OptionSet options;
  card.declare(options);
  write_atomically(folder / (name + ".toml"), options.toml());
  return card;
}

}  // namespace retort::cli
