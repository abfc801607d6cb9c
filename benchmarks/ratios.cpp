// How much faster than plain PyTorch are we? Runs distillation_step and eager_torch.py in turn,
// several times, and prints the ratios of their times and memory with their spread; with --growth,
// also how a step grows with its sizes. Draws both on one page.
//     ratios BUILD [--rounds 5] [--python /usr/bin/python3] [--growth] [--page ratios.html]
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
  double floor;  ///< the least ratio that is asked for
  double work;   ///< 10^9 operations of its convolutions, counted as direct ones
};
constexpr Case kCases[] = {
    {"dm, 10 images per class", "dm --ipc 10", 5, 279.9},
    {"dsa, 10 images per class", "dsa --ipc 10", 4, 869.6},
    {"mtt, 10 images per class, batch 100, 10 steps", "mtt --ipc 10 --inner 10 --batch-syn 100", 4,
     1087.2},
    {"mtt, 1 image per class, batch 10, 10 steps", "mtt --ipc 1 --inner 10 --batch-syn 10", 4,
     108.7},
    {"train, batch 256", "train", 3, 76.1},
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

}  // namespace

int main(int argc, char** argv) {
  std::string build, python = "/usr/bin/python3", device = "cpu", page_path;
  int rounds = 5, iterations = 3;
  bool growth = false;
  CLI::App app("Ratios of our steps to plain eager PyTorch's");
  app.add_option("build", build, "the build folder")->required();
  app.add_option("--rounds", rounds, "how often both are run in turn; 0: not at all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--iters", iterations, "steps of a run")->check(CLI::PositiveNumber);
  app.add_option("--python", python, "one that has torch");
  app.add_option("--device", device, "cpu, cuda or cuda:N");
  app.add_option("--page", page_path, "where to draw");
  app.add_flag("--growth", growth, "also how our step grows with its sizes");
  CLI11_PARSE(app, argc, argv);
  const std::string ours = build + "/benchmarks/distillation_step ";
  const std::string eager = python + " benchmarks/eager_torch.py ";
  retort::report::Page page;
  page.title = "Speed beside plain PyTorch";
  retort::report::Table table{.caption = fmt::format("medians of {} rounds in turn", rounds),
                              .head = {"step", "ours, s", "PyTorch, s", "ratio", "least", "most",
                                       "asked for", "ours, MB", "PyTorch, MB", "of the peak, %"},
                              .rows = {}};
  retort::report::Chart ratios{"Times faster than plain PyTorch, by round", "round", "ratio", {}};
  const double peak = matrix_peak(retort::parse_device(device));
  fmt::print("matrix products: {:.0f} * 10^9 operations a second\n", peak);
  fmt::print("{:<48}{:>9}{:>9}{:>8} (least - most)  MB ours, theirs; of the peak\n", "", "ours s",
             "eager s", "ratio");
  for (const Case& one : kCases) {
    if (rounds == 0) break;
    std::vector<double> own, other, ratio, own_mb, other_mb;
    retort::report::Series series{.name = one.name, .points = {}};
    for (int round = 0; round < rounds; ++round) {
      const std::string arguments =
          fmt::format("{} --iters {} --device {}", one.arguments, iterations, device);
      const json a = run(ours + arguments), b = run(eager + arguments);
      own.push_back(a.at("seconds"));
      other.push_back(b.at("seconds"));
      own_mb.push_back(a.at("peak_mb"));
      other_mb.push_back(b.at("peak_mb"));
      ratio.push_back(other.back() / own.back());
      series.points.emplace_back(round + 1, ratio.back());
    }
    const Spread r = spread(ratio);
    const double s = spread(own).median, t = spread(other).median, mb = spread(own_mb).median,
                 their_mb = spread(other_mb).median;
    const double share = 100 * one.work / s / peak;
    fmt::print("{:<48}{:>9.3f}{:>9.3f}{:>8.2f} ({:.2f} - {:.2f})  {:.0f}, {:.0f}; {:.0f} %\n",
               one.name, s, t, r.median, r.least, r.most, mb, their_mb, share);
    std::fflush(stdout);
    table.rows.push_back({one.name, fmt::format("{:.3f}", s), fmt::format("{:.3f}", t),
                          fmt::format("{:.2f}", r.median), fmt::format("{:.2f}", r.least),
                          fmt::format("{:.2f}", r.most), fmt::format("{:.0f}", one.floor),
                          fmt::format("{:.0f}", mb), fmt::format("{:.0f}", their_mb),
                          fmt::format("{:.0f}", share)});
    ratios.series.push_back(series);
  }
  if (rounds > 0) page.tables.push_back(table);
  if (rounds > 1) page.charts.push_back(ratios);
  for (const Growth& one : kGrowth) {
    if (!growth) break;
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
  if (!page_path.empty()) std::ofstream(page_path) << retort::report::render(page);
  return 0;
}
