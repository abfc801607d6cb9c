#include "cli/run_report.h"

#include <algorithm>

#include "cli/continual_page.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::cli {

std::filesystem::path write_report(const std::filesystem::path& folder) {
  const auto recipe = folder / "recipe.toml";
  if (!std::filesystem::exists(recipe))
    throw DataError::missing(recipe.string(),
                             "a run folder, made by `retort distill --out FOLDER`");
  const auto page_path = folder / "report.html";
  if (is_continual(folder)) {
    write_atomically(page_path, report::render(continual_page(folder)));
    return page_path;
  }
  std::vector<report::Figure> pictures;
  auto add = [&](const std::string& name, const std::string& caption) {
    const auto path = folder / "images" / name;
    if (std::filesystem::exists(path)) pictures.push_back({caption, read_file(path)});
  };
  add("final.png", "The synthetic set, one row a class");
  add("initial.png", "Where it started");
  const auto page =
      report::run_page(read_records(folder / "records.jsonl"), read_file(recipe), pictures);
  write_atomically(page_path, report::render(page));
  return page_path;
}

}  // namespace retort::cli
