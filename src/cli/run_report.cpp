#include "cli/run_report.h"

#include <algorithm>

#include "continual/page.h"
#include "core/file.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::cli {
namespace {

/// The pictures that `retort recall` left, in alphabetical order.
std::vector<std::string> recalled(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  if (!std::filesystem::is_directory(folder)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("recall-") && name.ends_with(".png")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::filesystem::path write_report(const std::filesystem::path& folder) {
  const auto recipe = folder / "recipe.toml";
  if (!std::filesystem::exists(recipe))
    throw DataError::missing(recipe.string(),
                             "a run folder, made by `retort distill --out FOLDER`");
  const auto page_path = folder / "report.html";
  if (continual::is_stream_folder(folder)) {
    write_atomically(page_path, report::render(continual::stream_page(folder)));
    return page_path;
  }
  std::vector<report::Figure> pictures;
  auto add = [&](const std::string& name, const std::string& caption) {
    const auto path = folder / "images" / name;
    if (std::filesystem::exists(path)) pictures.push_back({caption, read_file(path)});
  };
  add("final.png", "The synthetic set, one row a class");
  add("bases.png", "The bases that every image is combined from");
  add("initial.png", "The images before the first iteration");
  for (const std::string& name : recalled(folder / "images"))
    add(name, "Recalled from mixed labels: " + name);
  const auto page =
      report::run_page(read_records(folder / "records.jsonl"), read_file(recipe), pictures);
  write_atomically(page_path, report::render(page));
  return page_path;
}

}  // namespace retort::cli
