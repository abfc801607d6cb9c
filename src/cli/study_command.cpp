// retort study: the sharpness along experts, how far training on sets strays from them, what sets
// take to store; one page with all figures.
#include <fmt/format.h>

#include <map>
#include <optional>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "core/version.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/report/page.h"
#include "studies/storage_study.h"
#include "studies/trajectory_study.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort study --data cifar-10-batches-bin --experts plain,flat "
    "--sets runs/mtt=plain,runs/ftd=flat --out study.html\n"
    "  retort study bn-statistics TEACHER... --data cifar-10-batches-bin   (has options of its "
    "own)\n"
    "  retort study --storage 10,20,50,100,200 --images-per-class 20 --bases 16 --data "
    "cifar-10-batches-bin\n";

struct Study {
  std::vector<std::string> experts, sets, runs;
  std::string network = "convnet", out = "study.html";
  int64_t count = 2, images = 256, rounds = 12;
  studies::FollowOptions follow;
  studies::StorageStudy storage;
  data::DataOptions data;
  MachineOptions machine;

  void declare(OptionSet& set) {
    set.group("Study");
    set.add("experts", experts, "folders of experts whose sharpness is measured");
    set.add("sets", sets, "SET=EXPERTS,...: runs or bundles, and the experts that each follows");
    set.add("runs", runs,
            "evaluated runs of different --inner-steps and --expert-epochs: their accuracies");
    set.add("network", network, "the experts' network");
    set.add("count", count, "experts of each folder to average over", {.min = 1});
    set.add("images", images, "real images of the Hessian", {.min = 1});
    set.add("rounds", rounds, "rounds of power iteration", {.min = 1});
    set.add("inner_steps", follow.inner_steps,
            "training steps on a set that stand for --expert-epochs", {.min = 1});
    set.add("expert_epochs", follow.expert_epochs, "epochs of the expert", {.min = 1});
    set.add("out", out, "file of the page; its figures go into a .json beside it");
    storage.declare(set);
    set.group("Data");
    data.declare(set);
    machine.declare(set);
  }
};

class Worker {
 public:
  Worker(const Study& study, const data::Dataset& data, const nets::Network& network,
         at::Device device, const Environment& environment)
      : study_(study), data_(data), network_(network), device_(device), environment_(environment) {}

  /// Mean top eigenvalue after every epoch.
  report::Series sharpness(const std::string& folder) const {
    const trajectories::Trajectories experts(folder, data_, network_);
    std::vector<int64_t> rows =
        RandomStream(0, "study.images").sample(data_.train.size(), study_.images);
    const at::Tensor index = at::tensor(rows, at::kLong);
    const at::Tensor images = data_.preprocessing.gather(data_.train.images, index, device_);
    const at::Tensor labels = data_.train.labels.index_select(0, index).to(device_);
    const int64_t count = std::min(study_.count, experts.count());
    report::Series series{name_of(folder), {}};
    Progress progress(environment_.progress(), "sharpness of " + name_of(folder),
                      count * (experts.epochs() + 1));
    for (int64_t epoch = 0; epoch <= experts.epochs(); ++epoch) {
      double sum = 0;
      for (int64_t e = 0; e < count; ++e) {
        sum += studies::top_eigenvalue(network_, experts.snapshot(e, epoch).to(device_), images,
                                       labels, study_.rounds,
                                       RandomStream(0, "study.start", static_cast<uint64_t>(e)));
        progress.update(epoch * count + e + 1);
      }
      series.points.emplace_back(epoch, sum / static_cast<double>(count));
    }
    return series;
  }

  /// Mean distance to the expert after every stretch of steps.
  report::Series strayed(const std::string& pair) const {
    const size_t at = pair.find('=');
    if (at == std::string::npos)
      throw ConfigError(ErrorMessage{
          "reading --sets", "'" + pair + "' names no experts", "SET=EXPERTS,SET=EXPERTS", {}});
    const std::string set = pair.substr(0, at), folder = pair.substr(at + 1);
    synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(set));
    fit_to_data(environment_, "following", set, data_, bundle);
    const trajectories::Trajectories experts(folder, data_, network_);
    const int64_t count = std::min(study_.count, experts.count());
    std::map<int64_t, double> sums;
    for (int64_t e = 0; e < count; ++e)
      for (const studies::TrajectoryError& point :
           studies::follow(network_, bundle, experts, e, study_.follow, device_))
        sums[point.steps] += point.distance / static_cast<double>(count);
    return {bundle.method + " (" + name_of(folder) + ")", {sums.begin(), sums.end()}};
  }

 private:
  static std::string name_of(const fs::path& folder) {
    return folder.has_filename() ? folder.filename().string()
                                 : folder.parent_path().filename().string();
  }

  const Study& study_;
  const data::Dataset& data_;
  const nets::Network& network_;
  const at::Device device_;
  const Environment& environment_;
};

/// An evaluated run of trajectory matching.
struct Evaluated {
  int64_t steps = 0, epochs = 0;
  double mean = 0, deviation = 0;
};

Evaluated evaluated(const fs::path& run) {
  Evaluated one;
  OptionSet known;
  known.add("inner_steps", one.steps, "", {.min = 1});
  known.add("expert_epochs", one.epochs, "", {.min = 1});
  Problems problems;
  int64_t found = 0;
  for (const auto& [key, text] : read_flat_toml((run / "recipe.toml").string()))
    if (known.find(key)) {
      known.set(key, text, (run / "recipe.toml").string() + ": " + key, problems);
      ++found;
    }
  problems.raise("reading '" + run.string() + "'");
  std::optional<Json> evaluated;
  for (const Json& record : read_records(run / "records.jsonl"))
    if (record.value("kind", "") == "evaluation" && record.contains("results") &&
        record["results"].is_array() && !record["results"].empty())
      evaluated = record["results"][0];
  if (!evaluated || found < 2)
    throw DataError(ErrorMessage{"reading '" + run.string() + "'",
                                 evaluated ? "it matches no trajectories" : "it has no evaluation",
                                 "a run of mtt, ftd, tesla or datm after `retort eval`",
                                 {}});
  one.mean = evaluated->value("mean", 0.0);
  one.deviation = evaluated->value("deviation", 0.0);
  return one;
}

/// Accuracy of evaluated runs over their inner steps, a line for each number of expert epochs.
report::Chart horizon(const std::vector<std::string>& runs) {
  std::map<int64_t, std::map<int64_t, Evaluated>> found;  // by epochs, by steps
  for (const fs::path run : runs) {
    const Evaluated one = evaluated(run);
    found[one.epochs][one.steps] = one;
  }
  report::Chart chart{"Accuracy of students", "inner steps", "accuracy, %", {}};
  for (const auto& [epochs, by_steps] : found) {
    report::Series series{fmt::format("{} expert epoch{}", epochs, epochs == 1 ? "" : "s"), {}};
    for (const auto& [steps, one] : by_steps) {
      series.points.emplace_back(steps, 100 * one.mean);
      series.deviations.push_back(100 * one.deviation);
    }
    chart.series.push_back(series);
  }
  return chart;
}

Json to_json(const report::Chart& chart) {
  Json series = Json::array();
  for (const report::Series& one : chart.series)
    series.push_back({{"name", one.name}, {"points", one.points}});
  return {{"title", chart.title}, {"x", chart.x_label}, {"y", chart.y_label}, {"series", series}};
}

void print(const Environment& environment, const report::Chart& chart) {
  std::vector<std::vector<std::string>> rows{{chart.x_label}};
  for (const report::Series& one : chart.series) {
    rows[0].push_back(one.name);
    for (size_t i = 0; i < one.points.size(); ++i) {
      if (rows.size() == i + 1) rows.push_back({fmt::format("{}", one.points[i].first)});
      rows[i + 1].push_back(fmt::format("{:.4g}", one.points[i].second));
    }
  }
  if (rows.size() > 1) environment.out << chart.title << "\n" << aligned(rows) << "\n";
}

/// What the study found: a chart for each question, empty where it was not asked.
struct Charts {
  report::Chart sharp{"Top eigenvalue of the Hessian along experts", "epoch", "eigenvalue", {}};
  report::Chart far{
      "Accumulated trajectory error", "steps on the set", "share of the expert's way", {}};
  report::Chart long_run, storage;

  std::vector<report::Chart> all() const { return {sharp, far, long_run, storage}; }
  Json json() const {
    return {{"sharpness", to_json(sharp)},
            {"error", to_json(far)},
            {"accuracy", to_json(long_run)},
            {"storage", to_json(storage)}};
  }
};

Charts draw(const Study& study, const data::Dataset& data, const Worker& worker) {
  Charts charts;
  for (const std::string& folder : study.experts)
    charts.sharp.series.push_back(worker.sharpness(folder));
  for (const std::string& pair : study.sets) charts.far.series.push_back(worker.strayed(pair));
  charts.long_run = horizon(study.runs);
  charts.storage = study.storage.chart(data);
  return charts;
}

report::Page page_of(const Study& study, const data::Dataset& data, const Charts& charts) {
  report::Page page;
  const bool of_experts = !study.experts.empty() || !study.sets.empty();
  page.title = of_experts ? "Experts and the sets that follow them" : "Storage of sets";
  if (of_experts)
    page.summary =
        fmt::format("{} on {}: means over {} experts", study.network, data.name, study.count);
  else
    page.summary = fmt::format("Images of {}: {}x{}x{}, {} classes", data.name, data.channels,
                               data.height, data.width, data.classes());
  page.facts = {{"Data", data.name}, {"Data hash", data.hash}, {"retort version", version()}};
  for (const report::Chart& chart : charts.all())
    if (!chart.series.empty()) page.charts.push_back(chart);
  if (of_experts)
    page.notes = {fmt::format("Eigenvalues: {} rounds of power iteration on {} real images.",
                              study.rounds, study.images),
                  fmt::format("Errors: plain SGD from the expert's start, {} steps for {} epochs, "
                              "never put back on the expert's way.",
                              study.follow.inner_steps, study.follow.expert_epochs)};
  if (study.storage.wanted()) page.notes.push_back(study.storage.note());
  return page;
}

void require_something(const Study& study) {
  if (study.experts.empty() && study.sets.empty() && study.runs.empty() && !study.storage.wanted())
    throw ConfigError(ErrorMessage{"reading the command line of 'retort study'",
                                   "there is nothing to do",
                                   "--experts, --sets, --runs, --storage or several of them",
                                   {}});
}

/// What the files say of the data, where the command line says nothing.
void take_over(const Study& study, OptionSet& set) {
  for (const std::string& folder : study.experts) take_split_of(folder, set);
  for (const std::string& pair : study.sets) take_split_of(pair.substr(0, pair.find('=')), set);
  for (const std::string& pair : study.sets)
    check_whitening_of(pair.substr(0, pair.find('=')), set);
}

}  // namespace

int run_study(const Environment& environment, const Arguments& arguments) {
  if (!arguments.empty() && arguments[0] == "bn-statistics")
    return run_statistics_study(environment, {arguments.begin() + 1, arguments.end()});
  Study study;
  OptionSet set;
  study.declare(set);
  const Usage usage{"study",
                    "Measures the sharpness along experts, how far training on sets strays from "
                    "them, and what sets take to store.",
                    kExamples};
  if (!parse(environment, usage, arguments, set)) return 0;
  require_something(study);
  keep_unnamed_page(set);
  take_over(study, set);
  const at::Device device = study.machine.apply(environment);
  const data::Dataset data = open_data(environment, study.data);
  const auto network =
      nets::make_network(study.network, {data.channels, data.height, data.width, data.classes()});
  const Charts charts = draw(study, data, Worker(study, data, *network, device, environment));
  const Json figures = charts.json();
  write_atomically(study.out, report::render(page_of(study, data, charts)));
  write_atomically(fs::path(study.out).replace_extension(".json"), json_text(figures, 1) + "\n");
  if (study.machine.json) {
    environment.out << json_text(figures, 2) << "\n";
    return 0;
  }
  for (const report::Chart& chart : charts.all()) print(environment, chart);
  environment.out << "page: " << study.out << "\n";
  return 0;
}

}  // namespace retort::cli
