// How fast are our convolutions? The three products of 3x3 convolutions beside oneDNN's, Winograd
// (where it has one: 2.x on AVX-512) and direct, in turn, one thread each on all threads at once:
// 10^9 operations a second, counted as direct ones, and the medians of the times' ratios.
//     winograd [--channels 128] [--threads 1] [--rounds 30]
#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <dnnl.hpp>
#include <functional>
#include <thread>
#include <vector>

#include "nets/blocked/arena.h"
#include "nets/winograd/first_layer.h"
#include "nets/winograd/winograd.h"
#include "onednn_primitive.h"
#include "retort/core/device.h"

namespace {

namespace nets = retort::nets;
using dnnl::memory;
using Work = std::function<void()>;

struct Layer {
  int64_t in, out, side, images;
  bool first() const { return in <= nets::kFirstChannels; }
  double operations() const { return 18.0 * static_cast<double>(in * out * side * side * images); }
};
enum Product { kForward, kInput, kWeight };
constexpr const char* kProducts[] = {"forward", "input", "weight"};

/// Numbers that are neither zero nor tiny.
float* values(nets::Arena& arena, int64_t count) {
  float* memory = arena.take(count);
  for (int64_t i = 0; i < count; ++i) memory[i] = 0.1f * static_cast<float>(i % 7 + 1);
  return memory;
}

Work first_work(const Layer& l, Product product, nets::Arena& arena) {
  const nets::FirstShape s{l.images, l.in, l.out, l.side, l.side};
  float* x = values(arena, l.images * s.input_size());
  float* y = values(arena, l.images * l.out * s.positions());
  float* w = values(arena, l.out * s.taps());
  float* packed = arena.take(nets::first_weights(s, product == kInput));
  float* scratch = arena.take(nets::first_scratch(s));
  if (product != kWeight) nets::first_pack(s, w, product == kInput, packed);
  switch (product) {
    case kForward:
      return [=] { nets::first_forward(s, x, packed, y, scratch); };
    case kInput:
      return [=] { nets::first_input(s, y, packed, x, scratch); };
    case kWeight:
      return [=] { nets::first_weight(s, x, y, w, scratch); };
  }
  return {};
}

Work own_work(const Layer& l, Product product, nets::Arena& arena) {
  if (l.first()) return first_work(l, product, arena);
  const nets::WinogradShape s{l.images, l.in, l.out, l.side, l.side};
  float* x = values(arena, l.images * s.input_size());
  float* y = values(arena, l.images * s.output_size());
  float* w = values(arena, 9 * l.in * l.out);
  if (product == kWeight) {
    float* scratch = arena.take(nets::winograd_weight_scratch(s));
    return [=] { nets::winograd_weight(s, x, y, w, scratch); };
  }
  const bool turned = product == kInput;
  const nets::WinogradShape own{l.images, turned ? l.out : l.in, turned ? l.in : l.out, l.side,
                                l.side};
  float* packed = arena.take(nets::winograd_weights(own));
  float* scratch = arena.take(nets::winograd_scratch(own));
  nets::winograd_pack(own, w, turned, packed);
  return [=] { nets::winograd_convolve(own, turned ? y : x, packed, turned ? x : y, scratch); };
}

/// Empty where oneDNN does not have it, or only by its plain loops.
Work onednn_work(const Layer& l, Product product, dnnl::algorithm way) {
  if (l.first() && product == kInput) return {};
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  std::unordered_map<int, memory> arguments;
  const auto hold = [&](int argument, const memory::desc& layout) {
    memory held(layout, engine);
    auto* data = static_cast<float*>(held.get_data_handle());
    for (size_t i = 0; i < layout.get_size() / sizeof(float); ++i)
      data[i] = 0.1f * static_cast<float>(i % 7 + 1);
    arguments.insert({argument, held});
  };
  constexpr auto kFloat = memory::data_type::f32;
  const auto blocked = memory::format_tag::nChw16c;
  const memory::desc x({l.images, l.in, l.side, l.side}, kFloat,
                       l.first() ? memory::format_tag::nchw : blocked);
  const memory::desc w({l.out, l.in, 3, 3}, kFloat, memory::format_tag::any);
  const memory::desc y({l.images, l.out, l.side, l.side}, kFloat, blocked);
  const nets::ConvLayouts layouts{x, w, y, {1, 1}};
  dnnl::primitive primitive;
  try {
    if (product == kForward) {
      const auto made = nets::describe_forward(engine, way, layouts);
      primitive = dnnl::convolution_forward(made);
      hold(DNNL_ARG_SRC, made.src_desc());
      hold(DNNL_ARG_WEIGHTS, made.weights_desc());
      hold(DNNL_ARG_DST, made.dst_desc());
    } else if (product == kInput) {
      const auto made =
          nets::describe_backward<dnnl::convolution_backward_data>(engine, way, layouts);
      primitive = dnnl::convolution_backward_data(made);
      hold(DNNL_ARG_DIFF_SRC, made.diff_src_desc());
      hold(DNNL_ARG_WEIGHTS, made.weights_desc());
      hold(DNNL_ARG_DIFF_DST, made.diff_dst_desc());
    } else {
      const auto made =
          nets::describe_backward<dnnl::convolution_backward_weights>(engine, way, layouts);
      primitive = dnnl::convolution_backward_weights(made);
      hold(DNNL_ARG_SRC, made.src_desc());
      hold(DNNL_ARG_DIFF_WEIGHTS, made.diff_weights_desc());
      hold(DNNL_ARG_DIFF_DST, made.diff_dst_desc());
    }
  } catch (const dnnl::error&) {
    return {};
  }
  return [=, stream = dnnl::stream(engine)]() mutable { primitive.execute(stream, arguments); };
}

/// Seconds of this thread alone: others load the machine.
double seconds_of(const Work& work) {
  const auto now = [] {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double begin = now();
  work();
  return now() - begin;
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all.empty() ? 0 : all[all.size() / 2];
}

/// Of ours, oneDNN's Winograd and direct ones: seconds, and the others' by ours.
struct Measured {
  double seconds[3] = {}, ratio[3] = {};
};

Measured measure(const Layer& layer, Product product, int threads, int rounds) {
  std::vector<double> seconds[3], ratios[3];
  std::barrier together(threads);
  const auto one = [&](int thread) {
    const retort::SingleThreadScope alone;
    nets::Arena arena;
    const Work works[3] = {own_work(layer, product, arena),
                           onednn_work(layer, product, dnnl::algorithm::convolution_winograd),
                           onednn_work(layer, product, dnnl::algorithm::convolution_direct)};
    for (int round = -1; round < rounds; ++round) {
      double own = 0;
      for (int way = 0; way < 3; ++way) {
        if (!works[way]) continue;
        together.arrive_and_wait();
        const double passed = seconds_of(works[way]);
        if (way == 0) own = passed;
        if (thread > 0 || round < 0) continue;
        seconds[way].push_back(passed);
        ratios[way].push_back(passed / own);
      }
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(one, t);
  one(0);
  for (std::thread& other : others) other.join();
  Measured found;
  for (int way = 0; way < 3; ++way)
    found.seconds[way] = median(seconds[way]), found.ratio[way] = median(ratios[way]);
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t channels = 128, threads = 1;
  int rounds = 30;
  CLI::App app("Our convolutions beside oneDNN's");
  app.add_option("--channels", channels, "a multiple of 16")->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "0: all");
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const int count = retort::use_threads(threads);
  fmt::print("10^9 operations a second of one of {} threads; in brackets its time by ours\n",
             count);
  fmt::print("{:<18}{:>7} {:<8}{:>8}{:>18}{:>18}\n", "layer", "images", "product", "ours",
             "oneDNN Winograd", "oneDNN direct");
  for (const auto& [in, side] : {std::pair<int64_t, int64_t>{3, 32},
                                 {channels, 32},
                                 {channels, 16},
                                 {channels, 8},
                                 {channels, 4}})
    for (const int64_t images : {1, 4, 10, 16, 32})
      for (const Product product : {kForward, kInput, kWeight}) {
        const Layer layer{in, channels, side, images};
        const Measured found = measure(layer, product, count, rounds);
        fmt::print("{:<18}{:>7} {:<8}", fmt::format("{} -> {} at {}", in, channels, side), images,
                   kProducts[product]);
        for (int way = 0; way < 3; ++way) {
          const double rate = layer.operations() / found.seconds[way] / 1e9;
          if (found.seconds[way] == 0)
            fmt::print("{:>18}", "-");
          else if (way == 0)
            fmt::print("{:>8.0f}", rate);
          else
            fmt::print("{:>10.0f} ({:5.2f})", rate, found.ratio[way]);
        }
        fmt::print("\n");
        std::fflush(stdout);
      }
  return 0;
}
