// retort merge: the set that several independent jobs have learned, each its --shard.
#include <fmt/format.h>

#include <ostream>

#include "cli/arguments.h"
#include "cli/run_report.h"
#include "methods/merge.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Example, two jobs that know nothing of each other, anywhere and in any order:\n"
    "  retort distill --method sre2l ... --shard 0/2 --out part0\n"
    "  retort distill --method sre2l ... --shard 1/2 --out part1\n"
    "  retort merge --runs part0,part1 --out runs/whole\n\n"
    "The set has the bytes of one run without --shard. Experts need no merging: jobs with a "
    "--shard\n"
    "each may write into one folder, and files of several folders may be moved into one.\n";

}  // namespace

int run_merge(const Environment& environment, const Arguments& arguments) {
  std::string out;
  bool json = false;
  std::vector<std::string> runs;
  OptionSet set;
  set.add("runs", runs, "the folders of the jobs, one for each shard, in any order");
  set.add("out", out, "the folder of the whole run, a new one", {}, Role::kExecution);
  set.add("json", json, "print one JSON document on standard output", {}, Role::kExecution);
  const Usage usage{"merge", "Puts together what independent jobs have made of one set.",
                    kExamples};
  if (!parse(environment, usage, arguments, set)) return 0;
  Problems problems;
  if (runs.empty()) problems.add("missing: --runs, the folders of the jobs");
  if (out.empty()) problems.add("missing: --out, the folder of the whole run");
  problems.raise("reading the options of 'retort merge'");
  const methods::Merged merged = methods::merge_shards({runs.begin(), runs.end()});
  methods::write_merged(merged, runs.front(), out);
  const auto page = write_report(out);
  const auto file = bundle_of(out);
  if (json)
    environment.out << json_text(Json{{"out", out},
                                      {"bundle", file.string()},
                                      {"images", merged.bundle.images.size(0)},
                                      {"shards", runs.size()},
                                      {"report", page.string()}},
                                 2)
                    << "\n";
  else
    environment.out << fmt::format(
        "{} images of {} classes from {} shards\n  set      {}\n  "
        "report   {}\n",
        merged.bundle.images.size(0), merged.bundle.classes(), runs.size(), file.string(),
        page.string());
  return 0;
}

}  // namespace retort::cli
