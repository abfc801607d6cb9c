// What could a step cost at best? Times oneDNN's convolutions of the ConvNet alone, one thread each
// on all threads at once, by product, algorithm and images of a call; prints the best, and what the
// convolutions of a step add up to with it.
//     conv_ceiling [--width 128] [--size 32] [--threads 2]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <thread>
#include <vector>

#include "onednn_primitive.h"
#include "retort/core/device.h"

namespace {

namespace nets = retort::nets;
using dnnl::memory;
using Clock = std::chrono::steady_clock;

struct Layer {
  int64_t in, out, side;
};
enum Product { kForward, kInput, kWeight };
constexpr const char* kProducts[] = {"forward", "input", "weight"};

/// A convolution with its memory, ready to run again and again.
class Work {
 public:
  Work(const Layer& l, Product product, dnnl::algorithm way, int64_t images) {
    const auto blocked = memory::format_tag::nChw16c;
    const bool plain = l.in <= 4 && product != kInput;
    const int64_t in = plain ? l.in : std::max<int64_t>(l.in, 16);
    const memory::desc x({images, in, l.side, l.side}, kFloat,
                         plain ? memory::format_tag::nchw : blocked);
    const memory::desc w({l.out, in, 3, 3}, kFloat, memory::format_tag::any);
    const memory::desc y({images, l.out, l.side, l.side}, kFloat, blocked);
    const nets::ConvLayouts layouts{x, w, y, {1, 1}};
    if (product == kForward) {
      const auto made = nets::describe_forward(engine_, way, layouts);
      primitive_ = dnnl::convolution_forward(made);
      hold(DNNL_ARG_SRC, made.src_desc());
      hold(DNNL_ARG_WEIGHTS, made.weights_desc());
      hold(DNNL_ARG_DST, made.dst_desc());
    } else if (product == kInput) {
      const auto made =
          nets::describe_backward<dnnl::convolution_backward_data>(engine_, way, layouts);
      primitive_ = dnnl::convolution_backward_data(made);
      hold(DNNL_ARG_DIFF_SRC, made.diff_src_desc());
      hold(DNNL_ARG_WEIGHTS, made.weights_desc());
      hold(DNNL_ARG_DIFF_DST, made.diff_dst_desc());
    } else {
      const auto made =
          nets::describe_backward<dnnl::convolution_backward_weights>(engine_, way, layouts);
      primitive_ = dnnl::convolution_backward_weights(made);
      hold(DNNL_ARG_SRC, made.src_desc());
      hold(DNNL_ARG_DIFF_WEIGHTS, made.diff_weights_desc());
      hold(DNNL_ARG_DIFF_DST, made.diff_dst_desc());
    }
  }
  void run() { primitive_.execute(stream_, arguments_); }

 private:
  static constexpr auto kFloat = memory::data_type::f32;
  void hold(int argument, const memory::desc& layout) {
    memory held(layout, engine_);
    auto* values = static_cast<float*>(held.get_data_handle());
    for (size_t i = 0; i < layout.get_size() / sizeof(float); ++i)
      values[i] = 0.1f * static_cast<float>(i % 7);
    arguments_.insert({argument, held});
  }
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
};

/// Microseconds of one image, all threads busy; the least of some rounds. Negative: there is none.
double measure(const Layer& layer, Product product, dnnl::algorithm way, int64_t images,
               int threads) {
  std::vector<double> best(static_cast<size_t>(threads), -1);
  const auto one = [&](int t) {
    const retort::SingleThreadScope alone;
    try {
      Work work(layer, product, way, images);
      work.run();
      double least = 1e9;
      for (int round = 0; round < 5; ++round) {
        const auto begin = Clock::now();
        int count = 0;
        double passed = 0;
        do {
          work.run();
          ++count;
          passed = std::chrono::duration<double>(Clock::now() - begin).count();
        } while (passed < 0.02);
        least = std::min(least, passed / count);
      }
      best[t] = 1e6 * least / static_cast<double>(images);
    } catch (const dnnl::error&) {  // this algorithm does not know the shape
    }
  };
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) all.emplace_back(one, t);
  for (std::thread& thread : all) thread.join();
  return *std::max_element(best.begin(), best.end());
}

/// Microseconds of one image.
struct Step {
  double forward = 0, gradient = 0;
  double features = 0;  ///< forward, and back to the images
  double jvp = 0;       ///< a gradient_jvp sweep with the images' part
};

Step step_of(const double (&cost)[3][3]) {
  Step step;
  double back = 0, weight = 0;
  for (size_t l = 0; l < 3; ++l) {
    const double f = cost[l][kForward], d = l > 0 ? cost[l][kInput] : 0, w = cost[l][kWeight];
    step.forward += f, back += d, weight += w;
    // Of a gradient_jvp sweep: tangents twice, but for the first layer's, whose input has none.
    step.jvp += f + (l > 0 ? 2 * f : f) + 3 * d + (l > 0 ? 2 * w : w);
  }
  step.gradient = step.forward + back + weight;
  step.features = step.forward + back + cost[0][kInput];
  step.jvp += 2 * cost[0][kInput];
  return step;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t width = 128, size = 32, threads = 0;
  CLI::App app("The convolutions of a ConvNet's step alone");
  app.add_option("--width", width)->check(CLI::PositiveNumber);
  app.add_option("--size", size, "side of the images")->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "0: all");
  CLI11_PARSE(app, argc, argv);
  const int count = retort::use_threads(threads);
  const std::vector<Layer> layers{
      {3, width, size}, {width, width, size / 2}, {width, width, size / 4}};
  double cost[3][3] = {},
         small[3][3] = {};  // by layer and product: the best, and of 8 images at most
  for (size_t l = 0; l < layers.size(); ++l)
    for (const Product product : {kForward, kInput, kWeight}) {
      double best = 1e9, few = 1e9;
      for (const auto way :
           {dnnl::algorithm::convolution_direct, dnnl::algorithm::convolution_winograd}) {
        const bool winograd = way == dnnl::algorithm::convolution_winograd;
        fmt::print("{:>3} -> {:<3} side {:<3} {:<8}{:<9}", layers[l].in, layers[l].out,
                   layers[l].side, kProducts[product], winograd ? "winograd" : "direct");
        for (const int64_t images : {1, 2, 4, 8, 16, 32}) {
          const double us = measure(layers[l], product, way, images, count);
          if (us > 0) fmt::print("{:>4}: {:>7.1f}", images, us);
          if (us > 0) best = std::min(best, us);
          if (us > 0 && images <= 8) few = std::min(few, us);
        }
        fmt::print("   us an image\n");
      }
      cost[l][product] = best;
      small[l][product] = few;
    }
  const Step all = step_of(cost), batch_of_10 = step_of(small);
  const double share = 1e-6 / count;
  fmt::print(
      "\nof one image: forward {:.0f}, gradient {:.0f}, gradient_jvp with images {:.0f} us\n",
      all.forward, all.gradient, all.jvp);
  fmt::print("ceilings of 10 classes at 32x32 on {} threads, in seconds:\n", count);
  fmt::print("  dm    10 images per class, 256 real: {:.3f}\n",
             share * (2560 * all.forward + 100 * all.features));
  fmt::print("  dsa   10 images per class, 256 real: {:.3f}\n",
             share * (2660 * all.gradient + 100 * all.jvp));
  fmt::print("  mtt   10 images per class, batch 100, 10 steps: {:.3f}\n",
             share * 1000 * (all.gradient + all.jvp));
  fmt::print("  mtt   1 image per class, batch 10, 10 steps: {:.3f}\n",
             share * 100 * (batch_of_10.gradient + batch_of_10.jvp));
  fmt::print("  train batch 256: {:.3f}\n", share * 256 * all.gradient);
  return 0;
}
