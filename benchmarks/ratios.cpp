// How much faster than plain PyTorch are we? Runs distillation_step and eager_torch.py in turn,
// several times, and prints the ratios of their times and memory with their spread; with --growth,
// also how a step grows with its sizes. Draws both on one page. From PyTorch 2 on a step is also
// compiled where that is possible, and the faster of the two is the one to beat.
//     ratios BUILD [--rounds 5] [--python /usr/bin/python3] [--growth] [--page ratios.html]
//     ratios BUILD --python venv/bin/python --python /usr/bin/python3      two PyTorch in turn
//     ratios BUILD --other OLD/distillation_step         another build of ours in turn, too
//     ratios BUILD --device cuda         both on a GPU; memory is the device's
#include <fmt/format.h>
#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "retort/core/device.h"
#include "retort/report/page.h"

namespace {

using nlohmann::json;

struct Case {
  const char *name, *arguments;
  double floor;          ///< the least ratio that is asked for
  double work;           ///< 10^9 operations of its convolutions, counted as direct ones
  bool compiles = true;  ///< by torch.compile, which cannot differentiate twice
};
constexpr Case kCases[] = {
    {"dm, 10 images per class", "dm --ipc 10", 5, 279.9},
    {"dsa, 10 images per class", "dsa --ipc 10", 5, 869.6},
    {"mtt, 10 images per class, batch 100, 10 steps", "mtt --ipc 10 --inner 10 --batch-syn 100", 5,
     1087.2, false},
    {"mtt, 1 image per class, batch 10, 10 steps", "mtt --ipc 1 --inner 10 --batch-syn 10", 5,
     108.7, false},
    {"train, batch 256", "train", 4, 76.1},
};

/// One way in which a step grows.
struct Growth {
  const char *title, *x;
  const char* arguments;  ///< the number goes where {} stands
  std::vector<int> values;
};
const Growth kGrowth[] = {
    {"dm by images per class", "images per class", "dm --ipc {}", {1, 10, 50}},
    {"dsa by images per class", "images per class", "dsa --ipc {}", {1, 10, 50}},
    {"mtt by images per class", "images per class", "mtt --inner 5 --ipc {}", {1, 10, 50}},
    {"mtt by inner steps", "inner steps", "mtt --ipc 1 --inner {}", {5, 10, 20, 40}},
    {"dm by classes", "classes", "dm --ipc 1 --classes {}", {10, 20, 40}},
    {"dm by side of the images", "side", "dm --ipc 1 --batch-real 64 --size {}", {16, 32, 64}},
    {"train by threads", "threads", "train --threads {}", {1, 2}},
    {"dm by threads", "threads", "dm --threads {}", {1, 2}},
    {"mtt by threads", "threads", "mtt --ipc 1 --threads {}", {1, 2}},
};

/// What a command's line of JSON says.
json run(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("could not start " + command);
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), static_cast<int>(buffer.size()), pipe)) text += buffer.data();
  if (pclose(pipe) != 0 || !json::accept(text)) throw std::runtime_error("failed: " + command);
  return json::parse(text);
}

/// 10^9 operations a second of libtorch's matrix product, the best of some.
double matrix_peak(at::Device device) {
  retort::use_threads(0);
  const int64_t side = device.is_cpu() ? 1536 : 8192;
  const at::Tensor a = at::rand({side, side}).to(device), b = at::rand({side, side}).to(device);
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    retort::synchronize(device);
    const auto begin = std::chrono::steady_clock::now();
    at::mm(a, b);
    retort::synchronize(device);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2e-9 * std::pow(static_cast<double>(side), 3) / passed.count());
  }
  return best;
}

struct Spread {
  double least, median, most;
};
Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double middle =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), middle, values.back()};
}

struct Options {
  std::string build, device = "cpu", page;
  std::vector<std::string> pythons{"/usr/bin/python3"}, others;
  int rounds = 5, iterations = 3;
  bool growth = false;
};

/// One program that does a step: seconds and MB of every round.
struct Contender {
  std::string name, command;
  bool compiles = false;
  std::vector<double> seconds = {}, megabytes = {};

  void step(const std::string& arguments, bool may_compile) {
    json found = run(command + arguments);
    if (compiles && may_compile) {
      const json compiled = run(command + arguments + " --compile");
      if (compiled.at("seconds") < found.at("seconds")) found = compiled;
    }
    seconds.push_back(found.at("seconds"));
    megabytes.push_back(found.at("peak_mb"));
  }
};

std::vector<Contender> contenders(const Options& o) {
  std::vector<Contender> all{{"ours", o.build + "/benchmarks/distillation_step "}};
  for (const std::string& other : o.others) all.push_back({other, other + " "});
  for (const std::string& python : o.pythons) {
    const json known =
        run(python + " -c 'import json, torch; print(json.dumps([str(torch.__version__)]))'");
    const std::string version = known.at(0);
    all.push_back(
        {"PyTorch " + version, python + " benchmarks/eager_torch.py ", version[0] >= '2'});
  }
  return all;
}

/// Runs all in turn and adds a row for each that is beside ours.
void compare(const Options& o, const Case& one, double peak, retort::report::Table& table,
             retort::report::Chart& chart) {
  std::vector<Contender> all = contenders(o);
  const std::string arguments =
      fmt::format("{} --iters {} --device {}", one.arguments, o.iterations, o.device);
  for (int round = 0; round < o.rounds; ++round)
    for (Contender& contender : all) contender.step(arguments, one.compiles);
  const Contender& ours = all.front();
  const double s = spread(ours.seconds).median, mb = spread(ours.megabytes).median;
  const double share = 100 * one.work / s / peak;
  for (size_t k = 1; k < all.size(); ++k) {
    std::vector<double> ratio;
    retort::report::Series series{.name = one.name + (", " + all[k].name), .points = {}};
    for (size_t round = 0; round < ours.seconds.size(); ++round) {
      ratio.push_back(all[k].seconds[round] / ours.seconds[round]);
      series.points.emplace_back(static_cast<double>(round) + 1, ratio.back());
    }
    const Spread r = spread(ratio);
    const double t = spread(all[k].seconds).median, their_mb = spread(all[k].megabytes).median;
    fmt::print("{:<48}{:<20}{:>9.3f}{:>9.3f}{:>8.2f} ({:.2f} - {:.2f})  {:.0f}, {:.0f}; {:.0f} %\n",
               one.name, all[k].name, s, t, r.median, r.least, r.most, mb, their_mb, share);
    std::fflush(stdout);
    table.rows.push_back({one.name, all[k].name, fmt::format("{:.3f}", s), fmt::format("{:.3f}", t),
                          fmt::format("{:.2f}", r.median), fmt::format("{:.2f}", r.least),
                          fmt::format("{:.2f}", r.most), fmt::format("{:.0f}", one.floor),
                          fmt::format("{:.0f}", mb), fmt::format("{:.0f}", their_mb),
                          fmt::format("{:.0f}", share)});
    chart.series.push_back(series);
  }
}

void draw_growth(const Options& o, retort::report::Page& page) {
  const std::string ours = o.build + "/benchmarks/distillation_step ";
  for (const Growth& one : kGrowth) {
    retort::report::Chart chart{one.title, one.x, "seconds a step", {}};
    retort::report::Series series{.name = "seconds", .points = {}};
    for (const int value : one.values) {
      const json a = run(ours + fmt::format(fmt::runtime(one.arguments), value) + " --iters 2");
      series.points.emplace_back(value, a.at("seconds").get<double>());
      fmt::print("{:<28}{:>5}{:>9.3f} s{:>9.0f} MB\n", one.title, value,
                 a.at("seconds").get<double>(), a.at("peak_mb").get<double>());
      std::fflush(stdout);
    }
    chart.series.push_back(series);
    page.charts.push_back(chart);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Ratios of our steps to plain PyTorch's");
  app.add_option("build", o.build, "the build folder")->required();
  app.add_option("--rounds", o.rounds, "how often all are run in turn; 0: not at all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--iters", o.iterations, "steps of a run")->check(CLI::PositiveNumber);
  app.add_option("--python", o.pythons, "one that has torch; may be given more than once");
  app.add_option("--other", o.others, "another distillation_step");
  app.add_option("--device", o.device, "cpu, cuda or cuda:N");
  app.add_option("--page", o.page, "where to draw");
  app.add_flag("--growth", o.growth, "also how our step grows with its sizes");
  CLI11_PARSE(app, argc, argv);
  retort::report::Page page;
  page.title = "Speed beside plain PyTorch";
  retort::report::Table table{
      .caption = fmt::format("medians of {} rounds in turn", o.rounds),
      .head = {"step", "beside", "ours, s", "theirs, s", "ratio", "least", "most", "asked for",
               "ours, MB", "theirs, MB", "of the peak, %"},
      .rows = {}};
  retort::report::Chart ratios{"Times faster, by round", "round", "ratio", {}};
  const double peak = matrix_peak(retort::parse_device(o.device));
  fmt::print("matrix products: {:.0f} * 10^9 operations a second\n", peak);
  fmt::print("{:<48}{:<20}{:>9}{:>9}{:>8} (least - most)  MB ours, theirs; of the peak\n", "",
             "beside", "ours s", "theirs s", "ratio");
  for (const Case& one : kCases)
    if (o.rounds > 0) compare(o, one, peak, table, ratios);
  if (o.rounds > 0) page.tables.push_back(table);
  if (o.rounds > 1) page.charts.push_back(ratios);
  if (o.growth) draw_growth(o, page);
  if (!o.page.empty()) std::ofstream(o.page) << retort::report::render(page);
  return 0;
}
