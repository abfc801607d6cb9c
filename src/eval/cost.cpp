#include "eval/cost.h"

#include <algorithm>
#include <chrono>

#include "retort/core/device.h"

namespace retort::eval {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Seconds of a prediction of `few` images; the second of two, the first warms up.
double test_seconds(const nets::Network& network, const train::ModelState& trained,
                    const data::Split& part, const data::Preprocessing& preprocessing,
                    at::Device device) {
  const int64_t few = std::min<int64_t>(512, part.size());
  double taken = 0;
  for (int i = 0; i < 2; ++i) {
    const Clock::time_point begin = Clock::now();
    const at::Tensor images = preprocessing.apply(part.images.narrow(0, 0, few), device);
    network.predict(trained.theta, trained.state, images).argmax(1).to(at::kCPU);
    taken = since(begin);
  }
  return taken / static_cast<double>(few);
}

}  // namespace

TrainingCost measure_training(const nets::Network& network,
                              const std::vector<train::Student>& students,
                              const train::TrainOptions& options, const data::Split& part,
                              const data::Preprocessing& preprocessing, at::Device device) {
  constexpr double kLong = 0.5;  // seconds that are enough
  const auto together = std::ssize(students);
  StopFlag enough;
  int64_t calls = 0;
  double begun = 0, ended = 0;
  const Clock::time_point begin = Clock::now();
  train::Callbacks callbacks;
  callbacks.stop = &enough;
  callbacks.batch = [&](const std::vector<int64_t>&, const at::Tensor&) {
    ++calls;
    ended = since(begin);
    if (calls <= together) begun = ended;  // the first steps warm up
    const int64_t counted = calls - together;
    if ((counted >= 3 * together && ended - begun > kLong) || counted >= 200 * together)
      enough.request();
  };
  train::TrainOptions long_enough = options;
  long_enough.epochs = std::max<int64_t>(options.epochs, 201);
  long_enough.learning_rate = 0;  // as many operations, and it cannot run away
  const std::vector<train::ModelState> trained =
      train::train_many(network, students, long_enough, {0, "eval.cost", 0}, device, callbacks);
  synchronize(device);
  TrainingCost cost;
  const int64_t counted = std::max<int64_t>(calls - together, 1);
  cost.step = (ended - begun) / static_cast<double>(counted) * static_cast<double>(together);
  cost.test = test_seconds(network, trained.front(), part, preprocessing, device);
  return cost;
}

}  // namespace retort::eval
