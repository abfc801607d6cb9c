#include "cli/run_report.h"

#include <fmt/format.h>

#include <map>

#include "cli/run_pictures.h"
#include "cli/sets_folder.h"
#include "continual/page.h"
#include "core/file.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::cli {

namespace fs = std::filesystem;

namespace {

void require_run(const fs::path& folder) {
  const fs::path recipe = folder / "recipe.toml";
  if (!fs::exists(recipe))
    throw DataError::missing(recipe.string(),
                             "a run folder, made by `retort distill --out FOLDER`");
}

/// The pictures of a run that stand beside those of others: the set alone.
std::vector<report::Figure> picture_of(const fs::path& run, const std::string& name) {
  const fs::path picture = run / "images" / "final.png";
  if (!fs::exists(picture)) return {};
  return {{name, read_file(picture)}};
}

report::ComparedRun compared_run(const fs::path& folder, const std::string& name) {
  report::ComparedRun run{name, read_records(folder / "records.jsonl"), {}};
  const std::vector<SeedFolder> sets = sets_in(folder);
  const fs::path first = sets.empty() ? folder : sets.front().path;
  if (sets.empty()) require_run(folder);
  run.recipe = read_file(first / "recipe.toml");
  run.pictures = picture_of(first, sets.empty() ? name : name + ", " + sets.front().name());
  for (const SeedFolder& set : sets) run.sets.push_back(read_records(set.path / "records.jsonl"));
  return run;
}

/// All sets of a folder together, then one by one.
report::Page sets_page(const fs::path& folder) {
  std::vector<report::ComparedRun> runs{
      compared_run(folder, folder.filename().string() + ", all sets")};
  runs.front().pictures.clear();
  for (const SeedFolder& set : sets_in(folder)) runs.push_back(compared_run(set.path, set.name()));
  report::Page page = report::comparison_page(runs);
  page.title =
      fmt::format("{} sets of one recipe: {}", runs.size() - 1, folder.filename().string());
  page.summary = "Sets that differ in their seed alone, together and one by one.";
  page.recipe = runs.front().recipe;
  return page;
}

}  // namespace

std::vector<report::ComparedRun> compared_runs(const std::vector<std::string>& folders) {
  std::vector<report::ComparedRun> runs;
  std::map<std::string, int> named;
  const auto short_name = [](const std::string& folder) {
    const fs::path path = fs::path(folder).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
  };
  for (const std::string& folder : folders) ++named[short_name(folder)];
  for (const std::string& folder : folders) {
    const std::string name = short_name(folder);
    runs.push_back(compared_run(folder, named[name] > 1 ? folder : name));
  }
  return runs;
}

fs::path write_report(const fs::path& folder) {
  if (!sets_in(folder).empty()) {
    const fs::path page = folder / "report.html";
    write_atomically(page, report::render(sets_page(folder)));
    return page;
  }
  require_run(folder);
  const auto recipe = folder / "recipe.toml";
  const auto page_path = folder / "report.html";
  if (continual::is_stream_folder(folder)) {
    write_atomically(page_path, report::render(continual::stream_page(folder)));
    return page_path;
  }
  const auto page = report::run_page(read_records(folder / "records.jsonl"), read_file(recipe),
                                     pictures_of(folder));
  write_atomically(page_path, report::render(page));
  return page_path;
}

}  // namespace retort::cli
