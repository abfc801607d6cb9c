#include "cli/taken_over.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>

#include "core/file.h"
#include "io/safetensors.h"
#include "retort/core/error.h"
#include "retort/eval/evaluate.h"
#include "trajectories/trajectory_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

/// The file that says what a folder, or the file itself, was made from.
std::optional<fs::path> telling_file(const fs::path& path) {
  if (fs::is_regular_file(path)) return path;
  if (!fs::is_directory(path)) return {};
  for (const char* name : {"distilled.safetensors", "teacher.safetensors"})
    if (fs::exists(path / name)) return path / name;
  const auto experts = trajectories::finished_trajectories(path);
  if (experts.empty()) return {};
  return experts.front();
}

/// The texts of a file of ours. A damaged one is named by whoever reads all of it.
std::map<std::string, std::string> texts_of(const fs::path& path) {
  try {
    const auto file = telling_file(path);
    if (!file) return {};
    const MappedFile mapped(*file);
    return parse_safetensors(mapped.bytes(), file->string()).metadata;
  } catch (const Error&) {
    return {};
  }
}

void set_unless_given(const std::string& key, const std::string& text, const std::string& origin,
                      OptionSet& options) {
  Problems ignored;
  const Option* option = options.find(key);
  if (option && !option->was_set) options.set(key, text, origin, ignored);
}

}  // namespace

void take_split_of(const std::string& path, OptionSet& options) {
  const auto split = data::parse_split(texts_of(path)["split"]);
  if (!split || !split->known()) return;
  if (split->test_fraction > 0)
    set_unless_given("test_fraction", fmt::format("{}", split->test_fraction), path, options);
  set_unless_given("validation_fraction", fmt::format("{}", split->validation_fraction), path,
                   options);
  set_unless_given("split_seed", std::to_string(split->seed), path, options);
}

void take_run_options(const std::string& target, OptionSet& options) {
  data::DataOptions known;
  OptionSet names;
  known.declare(names);
  take_split_of(target, options);
  const fs::path recipe = fs::path(target) / "recipe.toml";
  const bool run = fs::exists(recipe);
  std::map<std::string, std::string> texts =
      run ? std::map<std::string, std::string>() : texts_of(target);
  // Its recipe names data without their path; a whitening that it holds need not be fitted again.
  const bool whitened = texts["zca_stored"] == "yes" && texts["preprocessing"] == "zca";
  const auto passed_over = [&](const std::string& key) {
    return key == "data" || (whitened && (key == "normalisation" || key == "zca_epsilon"));
  };
  try {
    const auto pairs =
        run ? read_flat_toml(recipe.string()) : parse_flat_toml(texts["recipe"], target);
    for (const auto& [key, text] : pairs)
      if (names.find(key) && (run || !passed_over(key)))
        set_unless_given(key, text, target, options);
  } catch (const DataError&) {
    if (run) throw;  // the text that a bundle carries is no reason not to use it
  }
  check_whitening_of(target, options);
}

void check_whitening_of(const std::string& path, const OptionSet& options) {
  std::map<std::string, std::string> texts = texts_of(path);
  if (texts["zca_stored"] != "no") return;
  std::vector<std::pair<std::string, std::string>> recipe;
  try {
    recipe = parse_flat_toml(texts["recipe"], path);
  } catch (const DataError&) {
    return;  // nothing is known of it
  }
  std::string made, given;
  bool other = false;
  for (const auto& [key, text] : recipe) {
    const Option* option = options.find(key);
    if (!option || (key != "normalisation" && key != "zca_epsilon")) continue;
    std::string flag = " --" + key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    made += flag + " " + text;
    given += flag + " " + option->text();
    other |= option->text() != text;
  }
  if (!other) return;
  throw StateError(ErrorMessage{"whitening the data for '" + path + "'",
                                "it is asked for as" + given, "what the set was made with:" + made,
                                "leave both out, or give them as the set was made"});
}

void fit_to_data(const Environment& environment, const std::string& doing,
                 const std::string& target, const data::Dataset& data, synthetic::Bundle& bundle) {
  const std::string what = doing + " '" + target + "'";
  eval::check_fit(bundle, data, what);  // other classes or shapes say more than another split
  const std::string note = data::check_split(synthetic::made_from(bundle, target), what, data);
  if (!note.empty()) environment.err << "note: " << note << "\n";
  synthetic::fill_preprocessing(bundle, data);
}

}  // namespace retort::cli
