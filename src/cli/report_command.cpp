// retort report: the page of a run, anew, or a page of several side by side.
#include <ostream>

#include "cli/arguments.h"
#include "cli/run_report.h"
#include "cli/several.h"
#include "core/file.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort report runs/a\n"
    "  retort report runs/a runs/b runs/c --out comparison.html    # comparison.csv and .tex "
    "beside it\n";

/// The pages and files of several runs.
Json compare(const std::vector<std::string>& folders, const fs::path& out) {
  const std::vector<report::ComparedRun> runs = compared_runs(folders);
  fs::path page = out, csv = out, tex = out;
  page.replace_extension(".html");
  csv.replace_extension(".csv");
  tex.replace_extension(".tex");
  write_atomically(csv, report::comparison_csv(runs));
  write_atomically(tex, report::comparison_latex(runs));
  write_atomically(page, report::render(report::comparison_page(runs)));
  return {{"report", page.string()}, {"csv", csv.string()}, {"latex", tex.string()}};
}

}  // namespace

int run_report(const Environment& environment, const Arguments& arguments) {
  std::string words, out = "comparison.html";
  bool json = false;
  OptionSet set;
  set.add("out", out, "of several runs: the page; a .csv and a .tex of that name are written too");
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{
      "report",
      "Writes report.html of a run: images, curves, accuracy, cost, recipe; or a page "
      "of several runs side by side.",
      kExamples};
  if (!parse(environment, usage, arguments, set,
             {{"runs...", "run folders, or folders of --seeds", &words}}))
    return 0;
  const std::vector<std::string> folders = several(words);
  Json written;
  if (folders.size() == 1 && !set.find("out")->was_set) {
    written = {{"report", write_report(folders.front()).string()}};
  } else {
    keep_unnamed_page(set);
    written = compare(folders, out);
  }
  if (json)
    environment.out << json_text(written, 2) << "\n";
  else
    for (const auto& [kind, path] : written.items())
      environment.out << path.get<std::string>() << "\n";
  return 0;
}

}  // namespace retort::cli
