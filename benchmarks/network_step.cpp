// How long does a step of what needs more than the ConvNet take: recovery (an observation of
// logits and BatchNorm moments, pulled back to images), training of a teacher and of a student,
// prediction, a step back through training (a second-order product by weights and images). The
// counterpart of eager_network.py; --engine sets one of ours beside another.
//     network_step recover --network resnet18-bn --batch 100
//     network_step squeeze --network resnet18-bn --batch 128 --engine autograd
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>

#include "losses/statistics.h"
#include "optim/optimizer.h"
#include "retort/core/device.h"
#include "retort/nets/network.h"

namespace {

using namespace retort;
using Clock = std::chrono::steady_clock;

struct Sizes {
  std::string work, network = "resnet18-bn", engine;
  int64_t batch = 100, size = 32, classes = 100, iterations = 5, threads = 0;
};

at::Tensor normals(std::vector<int64_t> shape, uint64_t seed) {
  at::Tensor values = at::empty(shape);
  RandomStream(seed, "benchmark.images").fill_normal(values.data_ptr<float>(), values.numel());
  return values;
}

/// What SRe2L does in an iteration of a group: how far moments are from those that BatchNorm keeps,
/// with the cross-entropy, pulled back to the images.
void recover(const nets::Network& net, const at::Tensor& theta, const at::Tensor& state,
             const at::Tensor& images, const losses::Targets& labels) {
  std::vector<std::string> taps;
  const std::vector<nets::Slot>& slots = net.state().slots;
  for (size_t s = 0; s < slots.size(); s += 2)
    taps.push_back(slots[s].name.substr(0, slots[s].name.rfind('.')) + ".moments");
  taps.emplace_back("logits");
  const nets::Observation seen =
      net.observe({theta, state, images, {}, nets::NormMode::kFrozen}, taps, {.images = true});
  std::map<std::string, at::Tensor> cotangents;
  for (size_t l = 0; l + 1 < taps.size(); ++l) {
    const at::Tensor& found = seen.taps.at(taps[l]);
    const auto part = [&](const nets::Slot& slot) {
      return state.narrow(0, slot.offset, slot.count);
    };
    const auto one = losses::statistics_distance(losses::from_rows(found[0]),
                                                 {part(slots[2 * l]), part(slots[2 * l + 1])},
                                                 losses::StatisticsUnit::kRaw);
    cotangents[taps[l]] = 0.01 * losses::as_rows(one.derivative).unsqueeze(0);
  }
  const at::Tensor p = at::softmax(seen.taps.at("logits"), 1);
  const at::Tensor chosen = at::one_hot(labels.values, p.size(1));
  cotangents["logits"] = (p - chosen) / images.size(0);
  seen.pullback(cotangents);
}

std::vector<double> steps(const Sizes& o, const nets::Network& net) {
  at::Tensor theta = net.initial(RandomStream(0, "benchmark.theta")), state = net.initial_state();
  const at::Tensor images = normals({o.batch, 3, o.size, o.size}, 0);
  const losses::Targets labels{at::arange(o.batch, at::kLong).remainder(o.classes)};
  const losses::Targets soft{at::softmax(normals({o.batch, o.classes}, 1), 1)};
  const at::Tensor direction = normals({theta.numel()}, 2);
  const auto sgd = optim::make_optimizer({.weight_decay = 5e-4}, theta);
  std::vector<double> seconds;
  for (int64_t i = 0; i <= o.iterations; ++i) {
    const auto begin = Clock::now();
    if (o.work == "recover") {
      recover(net, theta, state, images, labels);
    } else if (o.work == "predict") {
      net.predict(theta, state, images);
    } else if (o.work == "unroll") {
      net.gradient_jvp({theta, state, images}, labels, direction, {.theta = true, .images = true});
    } else {
      const auto& targets = o.work == "student" ? soft : labels;
      const nets::Gradient g =
          net.gradient({theta, state, images, {}, nets::NormMode::kUpdating}, targets);
      sgd->step(theta, g.theta, 0.01);
      state = g.state;
    }
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return {seconds.begin() + 1, seconds.end()};
}

}  // namespace

int main(int argc, char** argv) {
  Sizes o;
  CLI::App app("One step on a network: seconds and memory, as one line of JSON");
  app.add_option("work", o.work)
      ->required()
      ->check(CLI::IsMember({"recover", "squeeze", "student", "predict", "unroll"}));
  app.add_option("--network", o.network);
  app.add_option("--engine", o.engine, "one of `retort list parts`; empty: the network's own");
  app.add_option("--batch", o.batch)->check(CLI::PositiveNumber);
  app.add_option("--size", o.size, "side of the images")->check(CLI::PositiveNumber);
  app.add_option("--classes", o.classes)->check(CLI::PositiveNumber);
  app.add_option("--iters", o.iterations)->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads, "0: all");
  CLI11_PARSE(app, argc, argv);
  keep_freed_memory();
  const int threads = use_threads(o.threads);
  const auto network = nets::make_network(o.network, {3, o.size, o.size, o.classes});
  if (!o.engine.empty()) network->restrict_to(o.engine);
  std::vector<double> seconds = steps(o, *network);
  std::sort(seconds.begin(), seconds.end());
  fmt::print(
      "{{\"work\": \"{}\", \"network\": \"{}\", \"batch\": {}, \"threads\": {}, "
      "\"seconds\": {}, \"least\": {}, \"peak_mb\": {}}}\n",
      o.work, o.network, o.batch, threads, seconds[seconds.size() / 2], seconds.front(),
      static_cast<double>(peak_memory_bytes()) / (1 << 20));
  return 0;
}
