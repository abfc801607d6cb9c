// retort study bn-statistics: teachers' BatchNorm statistics measured, and the verdict on them.

#include <filesystem>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "core/limits.h"
#include "retort/core/error.h"
#include "retort/report/page.h"
#include "studies/statistics_page.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort study bn-statistics supervised/ moco/ --data cifar-10-batches-bin --out study.html\n"
    "  retort study bn-statistics teachers/*/ --gauge 3 --data cifar-10-batches-bin\n\n"
    "A teacher is a folder of retort squeeze or a teacher's file.\n";

struct Settings {
  studies::StatisticsOptions study;
  std::string out = "bn-statistics.html";
  data::DataOptions data;
  MachineOptions machine;
  OptionSet options;

  Settings() {
    options.group("Study");
    options.add("images", study.images, "training images for the recalibration of BatchNorm",
                {.min = 2});
    options.add("batch_size", study.batch_size, "images in one pass of the recalibration",
                {.min = 2});
    options.add(
        "gauge", study.gauge,
        "measure every supervised teacher also with its convolutions multiplied by this; 0: do not",
        {.min = 0, .max = 1e3});
    options.add("seed", study.seed, "seed of the noise and of the choice of images",
                {.min = 0, .max = kLargestSeed});
    options.add("out", out, "file of the page; its figures go into a .json beside it");
    options.group("Data");
    data.declare(options);
    machine.declare(options);
  }
};

}  // namespace

int run_statistics_study(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const auto flags = std::find_if(arguments.begin(), arguments.end(),
                                  [](const std::string& word) { return word.starts_with("-"); });
  const std::vector<std::string> paths(arguments.begin(), flags);
  const Usage usage{"study bn-statistics",
                    "Compares the BatchNorm statistics of teachers, TEACHER... before the options, "
                    "and the gradients that they give to images.",
                    kExamples};
  if (!parse(environment, usage, Arguments(flags, arguments.end()), settings.options)) return 0;
  if (paths.empty())
    throw ConfigError(
        ErrorMessage{"reading the command line of 'retort study bn-statistics'",
                     "no teacher is named",
                     "folders of retort squeeze, or teachers' files, before the options",
                     {}});
  keep_unnamed_page(settings.options);
  for (const std::string& path : paths) take_split_of(path, settings.options);
  settings.machine.apply(environment);
  const data::Dataset data = open_data(environment, settings.data);
  const std::vector<studies::Kind> kinds = studies::measure_all(
      studies::read_teachers(paths, data), data, settings.study, environment.progress());
  const studies::Verdict verdict = studies::judge(kinds[1].teachers);
  const report::Page page = studies::statistics_page(kinds, data, verdict);
  const Json figures = studies::statistics_json(kinds, verdict);
  write_atomically(settings.out, report::render(page));
  write_atomically(fs::path(settings.out).replace_extension(".json"), json_text(figures, 1) + "\n");
  if (settings.machine.json) {
    environment.out << json_text(figures, 2) << "\n";
    return 0;
  }
  environment.out << as_text(page.tables);
  for (const std::string& line : verdict.lines()) environment.out << line << "\n";
  environment.out << "page: " << settings.out << "\n";
  return 0;
}

}  // namespace retort::cli
