// retort study bn-statistics: tables, figures and the verdict on teachers' BatchNorm statistics.
#include <fmt/format.h>

#include <filesystem>
#include <ostream>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/taken_over.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/limits.h"
#include "retort/core/records.h"
#include "retort/data/class_sampler.h"
#include "retort/report/page.h"
#include "retort/studies/statistics_study.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort study bn-statistics supervised/ moco/ --data cifar-10-batches-bin --out study.html\n"
    "  retort study bn-statistics teachers/*/ --gauge 3 --data cifar-10-batches-bin\n\n"
    "A teacher is a folder of retort squeeze or a teacher's file.\n";

struct Settings {
  int64_t images = 2048, batch_size = 256, seed = 0;
  double gauge = 0;
  std::string out = "bn-statistics.html";
  data::DataOptions data;
  MachineOptions machine;
  OptionSet options;

  Settings() {
    options.group("Study");
    options.add("images", images, "training images for the recalibration of BatchNorm", {.min = 2});
    options.add("batch_size", batch_size, "images of a pass for them", {.min = 2});
    options.add("gauge", gauge,
                "also every supervised teacher with its convolutions this many times as large; 0: "
                "without",
                {.min = 0, .max = 1e3});
    options.add("seed", seed, "of noise and of the choice of images",
                {.min = 0, .max = kLargestSeed});
    options.add("out", out, "the page, and its figures as .json beside it");
    options.group("Data");
    data.declare(options);
    machine.declare(options);
  }
};

/// A teacher under a name that tells it from the others.
struct Named {
  std::string name;
  teachers::Teacher teacher;
  bool control = false;
};

std::vector<Named> read_teachers(const std::vector<std::string>& paths, const data::Dataset& data) {
  std::vector<Named> all;
  for (fs::path path : paths) {
    if (!path.has_filename()) path = path.parent_path();
    const bool folder = fs::is_directory(path);
    const fs::path file = folder ? path / "teacher.safetensors" : path;
    Named one{folder ? path.filename().string() : path.stem().string(),
              teachers::read_teacher(file)};
    teachers::check_teacher(one.teacher, "studying the teacher '" + file.string() + "'", data);
    if (!one.teacher.state.defined())
      throw ConfigError(ErrorMessage{"studying the teacher '" + file.string() + "'",
                                     "'" + one.teacher.network + "' keeps no running statistics",
                                     "networks with BatchNorm, such as convnet-bn",
                                     {}});
    all.push_back(std::move(one));
  }
  return all;
}

/// One batch of images and their classes, an equal number of each class.
struct Probes {
  at::Tensor noise, real, labels;
};

Probes draw_probes(const data::Dataset& data, const Settings& settings) {
  constexpr int64_t kImages = 100;
  const int64_t each = std::max<int64_t>(kImages / data.classes(), 1);
  std::vector<int64_t> rows;
  for (int64_t c = 0; c < data.classes(); ++c) {
    RandomStream stream(static_cast<uint64_t>(settings.seed), "study.real",
                        static_cast<uint64_t>(c));
    const std::vector<int64_t> drawn = data::draw_rows(data.train, stream, c, each);
    rows.insert(rows.end(), drawn.begin(), drawn.end());
  }
  const data::Batch batch =
      data::ClassSampler(data.train, data.preprocessing, at::kCPU).batch(rows);
  Probes probes;
  probes.real = batch.images;
  probes.labels = batch.targets;
  probes.noise = at::empty_like(probes.real);
  RandomStream(static_cast<uint64_t>(settings.seed), "study.noise")
      .fill_normal(probes.noise.data_ptr<float>(), probes.noise.numel());
  return probes;
}

studies::Measured measure(const Named& one, const Probes& probes) {
  const auto network = one.teacher.build();
  studies::Measured found;
  found.name = one.name;
  found.network = one.teacher.network;
  found.objective = one.teacher.objective;
  found.epochs = one.teacher.epochs;
  found.parameters = network->parameters().size;
  found.control = one.control;
  found.layers = studies::layer_statistics(one.teacher);
  found.noise = studies::signal_of(one.teacher, *network, probes.noise, probes.labels);
  found.real = studies::signal_of(one.teacher, *network, probes.real, probes.labels);
  return found;
}

double median_of(const studies::Measured& teacher,
                 const std::function<double(const studies::LayerStatistics&)>& value) {
  std::vector<double> values;
  for (const studies::LayerStatistics& layer : teacher.layers) values.push_back(value(layer));
  return at::tensor(values, at::kDouble).quantile(0.5).item<double>();
}

std::string number(double value) {
  return fmt::format("{:.3g}", value);
}

/// Medians over layers, and what images get.
report::Table summary_table(const std::vector<studies::Measured>& teachers,
                            const std::string& kind) {
  report::Table table{
      "Medians over layers, " + kind + " statistics",
      {"teacher", "objective", "epochs", "median RV", "std/mean RV", "std ln RV", "entropy RV",
       "std RM/sigma", "median RV/|W|^2", "std ln RV/|W|^2", "Gaussian entropy RV", "of RV/|W|^2"},
      {}};
  using L = studies::LayerStatistics;
  const auto response = [](const L& l) { return l.response.value_or(studies::Spread{}); };
  for (const studies::Measured& t : teachers)
    table.rows.push_back(
        {t.name, t.objective, std::to_string(t.epochs),
         number(median_of(t, [](const L& l) { return l.variance.median; })),
         number(median_of(t, [](const L& l) { return l.variance.variation; })),
         number(median_of(t, [](const L& l) { return l.variance.log_deviation; })),
         number(median_of(t, [](const L& l) { return l.variance.entropy; })),
         number(median_of(t, [](const L& l) { return l.mean_deviation; })),
         number(median_of(t, [&](const L& l) { return response(l).median; })),
         number(median_of(t, [&](const L& l) { return response(l).log_deviation; })),
         number(median_of(t, [](const L& l) { return l.variance.gaussian_entropy; })),
         number(median_of(t, [&](const L& l) { return response(l).gaussian_entropy; }))});
  return table;
}

report::Table signal_table(const std::vector<studies::Measured>& teachers,
                           const std::string& kind) {
  report::Table table{"Gradients by images, " + kind + " statistics",
                      {"teacher", "images", "loss raw", "|g| cross-entropy", "|g| raw",
                       "raw over cross-entropy", "|g| scale-free", "cosine", "first layer"},
                      {}};
  for (const studies::Measured& t : teachers)
    for (const auto& [name, s] :
         {std::pair<const char*, const studies::Signal&>{"noise", t.noise}, {"real", t.real}})
      table.rows.push_back({t.name, name, number(s.raw), number(s.cross_entropy_gradient),
                            number(s.raw_gradient), number(s.ratio()),
                            number(s.scale_free_gradient), number(s.cosine),
                            number(s.first_layer_share)});
  return table;
}

report::Chart chart_of(const std::vector<studies::Measured>& teachers, const std::string& title,
                       const std::function<double(const studies::Measured&, size_t)>& value) {
  report::Chart chart{title, "layer", title, {}};
  for (const studies::Measured& teacher : teachers) {
    if (teacher.control) continue;
    report::Series series{teacher.name, {}};
    for (size_t l = 0; l < teacher.layers.size(); ++l)
      series.points.emplace_back(l + 1, value(teacher, l));
    chart.series.push_back(series);
  }
  return chart;
}

Json to_json(const studies::Spread& s) {
  return {{"median", s.median},
          {"variation", s.variation},
          {"log_deviation", s.log_deviation},
          {"entropy", s.entropy},
          {"gaussian_entropy", s.gaussian_entropy}};
}

Json to_json(const studies::Signal& s) {
  return {{"cross_entropy", s.cross_entropy},
          {"raw", s.raw},
          {"scale_free", s.scale_free},
          {"cross_entropy_gradient", s.cross_entropy_gradient},
          {"raw_gradient", s.raw_gradient},
          {"scale_free_gradient", s.scale_free_gradient},
          {"ratio", s.ratio()},
          {"cosine", s.cosine},
          {"first_layer_share", s.first_layer_share},
          {"layers", s.layers}};
}

Json to_json(const studies::Measured& t, const std::string& statistics) {
  Json layers = Json::array();
  for (const studies::LayerStatistics& l : t.layers) {
    Json layer{{"layer", l.layer},
               {"channels", l.channels},
               {"largest_variance", l.largest_variance},
               {"least_mean", l.least_mean},
               {"largest_mean", l.largest_mean},
               {"variance", to_json(l.variance)},
               {"mean_deviation", l.mean_deviation}};
    if (l.response) layer["response"] = to_json(*l.response);
    layers.push_back(layer);
  }
  return {{"teacher", t.name},  {"network", t.network},      {"objective", t.objective},
          {"epochs", t.epochs}, {"statistics", statistics},  {"control", t.control},
          {"layers", layers},   {"noise", to_json(t.noise)}, {"real", to_json(t.real)}};
}

/// All teachers with one kind of statistics.
struct Kind {
  std::string name;
  std::vector<studies::Measured> teachers;
};

std::vector<Kind> measure_all(const Environment& environment, const Settings& settings,
                              const data::Dataset& data, const std::vector<Named>& teachers) {
  const Probes probes = draw_probes(data, settings);
  const std::vector<int64_t> rows =
      RandomStream(static_cast<uint64_t>(settings.seed), "study.images")
          .sample(data.train.size(), settings.images);
  const at::Tensor images = data.train.images.index_select(0, at::tensor(rows, at::kLong));
  std::vector<Kind> kinds{{"stored", {}}, {"clean", {}}};
  Progress progress(environment.progress(), "bn-statistics",
                    static_cast<int64_t>(2 * teachers.size()));
  int64_t done = 0;
  for (Kind& kind : kinds)
    for (const Named& one : teachers) {
      Named now = one;
      if (kind.name == "clean")
        now.teacher = studies::recalibrated(one.teacher, images, settings.batch_size);
      kind.teachers.push_back(measure(now, probes));
      progress.update(++done);
      if (settings.gauge <= 0 || one.teacher.objective != "supervised") continue;
      now.teacher = studies::rescaled(now.teacher, settings.gauge);
      now.name += fmt::format(" x{:g}", settings.gauge);
      now.control = true;
      kind.teachers.push_back(measure(now, probes));
    }
  return kinds;
}

report::Page page_of(const std::vector<Kind>& kinds, const data::Dataset& data,
                     const studies::Verdict& verdict) {
  report::Page page;
  page.title = "BatchNorm statistics of teachers";
  page.summary = fmt::format("{} teachers on {}", kinds[0].teachers.size(), data.name);
  page.tables_title = "Measures";
  for (const Kind& kind : kinds) page.tables.push_back(summary_table(kind.teachers, kind.name));
  for (const Kind& kind : kinds) page.tables.push_back(signal_table(kind.teachers, kind.name));
  using M = studies::Measured;
  const auto& clean = kinds[1].teachers;
  page.charts = {chart_of(clean, "std of ln RV",
                          [](const M& t, size_t l) { return t.layers[l].variance.log_deviation; }),
                 chart_of(clean, "std of ln RV/|W|^2",
                          [](const M& t, size_t l) {
                            return t.layers[l].response ? t.layers[l].response->log_deviation
                                                        : std::nan("");
                          }),
                 chart_of(clean, "median RV",
                          [](const M& t, size_t l) { return t.layers[l].variance.median; }),
                 chart_of(clean, "gradient of one layer's distance at noise",
                          [](const M& t, size_t l) { return t.noise.layers[l]; })};
  page.charts[2].log_y = page.charts[3].log_y = true;
  page.notes = verdict.lines();
  page.notes.push_back(
      "RV, RM: running variance and mean; W: a channel's filter. Medians and gradients of raw "
      "distances change where a convolution is rescaled, which changes no output; deviations of "
      "logarithms, entropies, RV/|W|^2 and scale-free gradients do not. Clean: measured anew on "
      "images without augmentation; curves and verdict use these. The first layer's distance "
      "counts ten times.");
  return page;
}

void print(const Environment& environment, const report::Table& table) {
  std::vector<std::vector<std::string>> rows{table.head};
  rows.insert(rows.end(), table.rows.begin(), table.rows.end());
  environment.out << table.caption << "\n" << aligned(rows) << "\n";
}

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
  const data::Dataset data = data::open_dataset(settings.data);
  const std::vector<Kind> kinds =
      measure_all(environment, settings, data, read_teachers(paths, data));
  const studies::Verdict verdict = studies::judge(kinds[1].teachers);
  const report::Page page = page_of(kinds, data, verdict);
  Json figures{{"teachers", Json::array()}, {"verdict", verdict.lines()}};
  for (const Kind& kind : kinds)
    for (const studies::Measured& teacher : kind.teachers)
      figures["teachers"].push_back(to_json(teacher, kind.name));
  write_atomically(settings.out, report::render(page));
  write_atomically(fs::path(settings.out).replace_extension(".json"), json_text(figures, 1) + "\n");
  if (settings.machine.json) {
    environment.out << json_text(figures, 2) << "\n";
    return 0;
  }
  for (const report::Table& table : page.tables) print(environment, table);
  for (const std::string& line : verdict.lines()) environment.out << line << "\n";
  environment.out << "page: " << settings.out << "\n";
  return 0;
}

}  // namespace retort::cli
