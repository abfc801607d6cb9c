// How long does one step of a method take, and how much memory? The sizes and the output of
// eager_torch.py, done by the methods themselves: real images are gathered from bytes, normalised
// and augmented in every step. Data are random; only time and memory are of interest.
//     distillation_step dm --ipc 10 --iters 3
//     distillation_step mtt --ipc 10 --inner 10 --batch-syn 100
//     distillation_step dsa --device cuda
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "augment/siamese.h"
#include "retort/core/device.h"
#include "retort/data/batch_source.h"
#include "retort/methods/method.h"
#include "retort/train/trainer.h"
#include "retort/train/unroll.h"

namespace {

using namespace retort;
using Clock = std::chrono::steady_clock;

struct Sizes {
  std::string work, network = "convnet", device_name = "cpu";
  at::Device device = at::kCPU;
  int64_t images_per_class = 10, classes = 10, size = 32, real_batch = 256, synthetic_batch = 0,
          inner_steps = 10, iterations = 3, threads = 0;
};

constexpr const char* kStrategy = "color_crop_cutout_flip_scale_rotate";

/// Seconds until everything that was given to the device is done.
double seconds_since(Clock::time_point begin, at::Device device) {
  synchronize(device);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

at::Tensor normals(std::vector<int64_t> shape, const char* purpose) {
  at::Tensor values = at::empty(shape);
  RandomStream(0, purpose).fill_normal(values.data_ptr<float>(), values.numel());
  return values;
}

data::Dataset random_data(const Sizes& o) {
  data::RawDataset raw;
  raw.name = raw.reader = "random";
  raw.channels = 3;
  raw.height = raw.width = o.size;
  RandomStream draw(0, "benchmark.pixels");
  const auto fill = [&](data::RawImages& part, int64_t each) {
    for (int64_t c = 0; c < o.classes; ++c) part.labels.insert(part.labels.end(), each, c);
    part.pixels.resize(static_cast<size_t>(o.classes * each * 3 * o.size * o.size));
    for (uint8_t& pixel : part.pixels) pixel = static_cast<uint8_t>(draw.uniform_int(256));
  };
  for (int64_t c = 0; c < o.classes; ++c) raw.class_names.push_back(fmt::format("{}", c));
  fill(raw.train, std::max(o.real_batch, o.images_per_class));
  fill(raw.test, 1);
  return data::prepare_dataset(raw, {});
}

/// Seconds of every step of an objective; the first is a warm-up.
std::vector<double> matching(const Sizes& o, const nets::Network& network) {
  const data::Dataset data = random_data(o);
  synthetic::SetLayout layout{std::vector<int64_t>(o.classes, o.images_per_class), 3, o.size,
                              o.size};
  std::unique_ptr<methods::Method> method;
  for (const auto& entry : methods::method_table())
    if (entry.name == o.work) method = entry.make();
  OptionSet options;
  method->declare(options);
  Problems problems;
  options.set("real_batch", fmt::format("{}", o.real_batch), "--batch-real", problems);
  problems.raise("reading the options");
  const auto objective = method->objective({data, network, layout, kStrategy, 0, o.device});
  const methods::SyntheticSet view{
      normals({layout.size(), 3, o.size, o.size}, "benchmark.images").to(o.device), layout.labels(),
      layout.offsets()};
  std::vector<double> seconds;
  for (int64_t i = 0; i <= o.iterations; ++i) {
    const auto begin = Clock::now();
    objective->begin(i, view);
    objective->evaluate(view, 0);
    seconds.push_back(seconds_since(begin, o.device));
  }
  return seconds;
}

/// One unrolled training and the way back through it.
std::vector<double> trajectory(const Sizes& o, const nets::Network& network) {
  const int64_t count = o.classes * o.images_per_class;
  const int64_t batch = o.synthetic_batch > 0 ? o.synthetic_batch : count;
  const at::Tensor labels = at::arange(o.classes, at::kLong).repeat_interleave(o.images_per_class);
  const train::UnrollSet set{normals({count, 3, o.size, o.size}, "benchmark.images").to(o.device),
                             labels.to(o.device), 0.01};
  const augment::Strategy strategy = augment::parse_strategy(kStrategy);
  std::vector<double> seconds;
  for (int64_t i = 0; i <= o.iterations; ++i) {
    const auto begin = Clock::now();
    const auto index = static_cast<uint64_t>(i);
    const at::Tensor start =
        network.initial(RandomStream(0, "benchmark.theta", index)).to(o.device);
    const at::Tensor target = start * 1.01;
    std::vector<train::UnrollStep> steps;
    std::vector<int64_t> order;
    for (int64_t k = 0; k < o.inner_steps; ++k) {
      const auto step = static_cast<uint64_t>(k);
      if (static_cast<int64_t>(order.size()) < batch)
        order = RandomStream(0, "benchmark.order", index, step).permutation(count);
      const std::vector<int64_t> rows(order.end() - batch, order.end());
      order.resize(order.size() - static_cast<size_t>(batch));
      RandomStream draw(0, "benchmark.augment", index, step);
      steps.push_back(
          {at::tensor(rows, at::kLong), augment::draw_shared(strategy, o.size, o.size, draw)});
    }
    train::Unroll unroll(network, set, std::move(steps));
    const at::Tensor end = unroll.forward(start);
    unroll.backward(2 * (end - target) / (start - target).square().sum());
    seconds.push_back(seconds_since(begin, o.device));
  }
  return seconds;
}

/// Steps of the one training loop.
std::vector<double> training(const Sizes& o, const nets::Network& network) {
  Sizes one_class = o;
  one_class.real_batch = o.real_batch * (o.iterations + 2) / o.classes + 1;
  const data::Dataset data = random_data(one_class);
  const auto source = data::real_source(data.train, data.preprocessing, o.device);
  train::TrainOptions options;
  options.epochs = 1;
  options.schedule = "constant";
  options.batch_size = o.real_batch;
  options.augmentation = kStrategy;
  std::vector<double> seconds;
  auto begin = Clock::now();
  train::Callbacks callbacks;
  callbacks.batch = [&](const std::vector<int64_t>&, const at::Tensor&) {
    seconds.push_back(seconds_since(begin, o.device));
    begin = Clock::now();
  };
  train::train(network, *source, options, {}, o.device, callbacks);
  if (seconds.size() > static_cast<size_t>(o.iterations) + 1)
    seconds.resize(static_cast<size_t>(o.iterations) + 1);
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

int main(int argc, char** argv) {
  Sizes o;
  CLI::App app("One step of a method: seconds and memory, as one line of JSON");
  app.add_option("work", o.work)->required()->check(CLI::IsMember({"dm", "dsa", "mtt", "train"}));
  app.add_option("--ipc", o.images_per_class, "images per class")->check(CLI::PositiveNumber);
  app.add_option("--classes", o.classes)->check(CLI::PositiveNumber);
  app.add_option("--size", o.size, "side of the images")->check(CLI::PositiveNumber);
  app.add_option("--network", o.network);
  app.add_option("--batch-real", o.real_batch)->check(CLI::PositiveNumber);
  app.add_option("--batch-syn", o.synthetic_batch, "0: the whole synthetic set");
  app.add_option("--inner", o.inner_steps)->check(CLI::PositiveNumber);
  app.add_option("--iters", o.iterations)->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads, "0: all");
  app.add_option("--device", o.device_name, "cpu, cuda or cuda:N");
  CLI11_PARSE(app, argc, argv);
  keep_freed_memory();
  const int threads = use_threads(o.threads);
  o.device = parse_device(o.device_name);
  const auto network = nets::make_network(o.network, {3, o.size, o.size, o.classes});
  std::vector<double> seconds = o.work == "mtt"     ? trajectory(o, *network)
                                : o.work == "train" ? training(o, *network)
                                                    : matching(o, *network);
  seconds.erase(seconds.begin());
  const int64_t peak = o.device.is_cpu() ? peak_memory_bytes() : peak_device_bytes(o.device);
  fmt::print(
      "{{\"work\": \"{}\", \"ipc\": {}, \"inner\": {}, \"threads\": {}, \"device\": \"{}\", "
      "\"seconds\": {}, \"peak_mb\": {}}}\n",
      o.work, o.images_per_class, o.inner_steps, threads, o.device_name, median(seconds),
      static_cast<double>(peak) / (1 << 20));
  return 0;
}
