// retort report: the page of a run, anew.
#include <ostream>

#include "cli/arguments.h"
#include "cli/run_report.h"
#include "retort/core/records.h"

namespace retort::cli {

int run_report(const Environment& environment, const Arguments& arguments) {
  std::string folder;
  bool json = false;
  OptionSet set;
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{"report", "Writes report.html of a run: images, curves, accuracy, recipe.",
                    "Example:\n  retort report runs/a\n"};
  if (!parse(environment, usage, arguments, set, {{"run", "a run folder", &folder, true}}))
    return 0;
  const auto page = write_report(folder);
  if (json) {
    environment.out << json_text(Json{{"report", page.string()}}, 2) << "\n";
  } else {
    environment.out << page.string() << "\n";
  }
  return 0;
}

}  // namespace retort::cli
