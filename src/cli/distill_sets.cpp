#include "cli/distill_sets.h"

#include <ostream>

#include "cli/host.h"
#include "cli/run_report.h"
#include "cli/sets_folder.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

std::vector<SeedFolder> asked_folders(const DistillSettings& asked,
                                      const std::vector<std::string>& seeds) {
  Problems problems;
  std::vector<SeedFolder> folders = seed_folders(asked.out, seeds, problems);
  if (seeds.empty()) problems.add("--seeds: none is given; as 0,1,2");
  if (asked.out.empty()) problems.add("missing: --out, the folder of the sets");
  problems.raise("reading the options of 'retort distill'");
  if (fs::exists(fs::path(asked.out) / "recipe.toml"))
    throw StateError(ErrorMessage{"opening the folder of sets '" + asked.out + "'",
                                  "it holds a single run", "a new folder, or one of --seeds",
                                  "choose another --out"});
  return folders;
}

std::unique_ptr<DistillSettings> settings_of(const DistillSettings& asked, const SeedFolder& folder,
                                             const MakeSettings& make) {
  std::unique_ptr<DistillSettings> one = given_again(asked, make);
  give(one->options, "seed", std::to_string(folder.seed));
  give(one->options, "out", folder.path.string());
  return one;
}

void print_sets(const Environment& environment, const DistillSettings& asked,
                const std::vector<SeedFolder>& folders) {
  const fs::path page = write_report(asked.out);
  if (asked.machine.json) {
    Json sets = Json::array();
    for (const SeedFolder& folder : folders)
      sets.push_back({{"seed", folder.seed},
                      {"out", folder.path.string()},
                      {"bundle", bundle_of(folder.path.string()).string()}});
    environment.out << json_text(
                           Json{{"out", asked.out}, {"sets", sets}, {"report", page.string()}}, 2)
                    << "\n";
    return;
  }
  environment.out << fmt::format("{} set{} by {} in {}\n", folders.size(),
                                 folders.size() == 1 ? "" : "s", asked.loop().method, asked.out);
  for (const SeedFolder& folder : folders)
    environment.out << "  set      " << bundle_of(folder.path.string()).string() << "\n";
  environment.out << "  report   " << page.string() << "\n  next     retort eval " << asked.out
                  << " --data " << asked.data.data
                  << "     # the spread over sets and over students apart\n";
}

}  // namespace

std::unique_ptr<DistillSettings> given_again(const DistillSettings& asked,
                                             const MakeSettings& make) {
  std::unique_ptr<DistillSettings> one = make();
  for (const Option& option : asked.options.all())
    if (option.was_set && one->options.find(option.name))
      give(one->options, option.name, option.text());
  return one;
}

int distil_sets(const Environment& environment, const DistillSettings& asked,
                const std::vector<std::string>& seeds, const MakeSettings& make) {
  const std::vector<SeedFolder> folders = asked_folders(asked, seeds);
  for (const SeedFolder& there : sets_in(asked.out)) {  // sets of another recipe are not added to
    const auto one = settings_of(asked, there, make);
    settle(*one);
    methods::RunFolder::started(there.path, one->options);
  }
  // What each prints is progress here: standard output is for all of them.
  Environment part{environment.err,   environment.err,  environment.terminal,
                   environment.width, environment.stop, {},
                   environment.debug, environment.host, environment.group,
                   environment.cache};
  for (size_t i = 0; i < folders.size(); ++i) {
    environment.err << fmt::format("set {} of {}: {}\n", i + 1, folders.size(),
                                   folders[i].path.string());
    const auto one = settings_of(asked, folders[i], make);
    one->machine.json = false;
    if (const int code = distil(part, *one); code != 0) return code;
  }
  if (environment.group->first()) print_sets(environment, asked, folders);
  return 0;
}

}  // namespace retort::cli
