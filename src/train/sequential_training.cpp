#include "retort/train/sequential_training.h"

#include <fmt/format.h>

#include <cmath>

#include "retort/core/error.h"
#include "retort/optim/optimizer.h"

namespace retort::train {

std::vector<std::vector<int64_t>> ordered_batches(const std::vector<int64_t>& counts) {
  std::vector<std::vector<int64_t>> batches;
  int64_t begin = 0;
  for (const int64_t count : counts) {
    for (int64_t i = 0; i < count; ++i) {
      if (static_cast<int64_t>(batches.size()) <= i) batches.emplace_back();
      batches[static_cast<size_t>(i)].push_back(begin + i);
    }
    begin += count;
  }
  return batches;
}

ModelState train_sequentially(const nets::Network& network, const data::BatchSource& source,
                              const std::vector<int64_t>& counts, const std::vector<double>& rates,
                              const TrainSeed& seed, at::Device device,
                              const Callbacks& callbacks) {
  const at::NoGradGuard no_graph;
  const Start start = initial_start(network, seed);
  ModelState trained{start.theta.to(device), {}};
  if (start.state.defined()) trained.state = start.state.to(device);
  const auto batches = ordered_batches(counts);
  const auto optimizer = optim::make_plain_descent();
  for (size_t k = 0; k < rates.size(); ++k) {
    if (callbacks.stop && callbacks.stop->requested()) break;
    const data::Batch batch = source.get(batches[k % batches.size()]);
    const nets::Gradient found = network.gradient(
        {trained.theta, trained.state, batch.images, {}, nets::NormMode::kUpdating},
        {batch.targets});
    optimizer->step(trained.theta, found.theta, rates[k]);
    if (trained.state.defined()) trained.state = found.state;
    trained.final_loss = found.loss.item<double>();
    if (!std::isfinite(trained.final_loss))
      throw StateError(ErrorMessage{
          "training in order", fmt::format("the loss of step {} is {}", k + 1, trained.final_loss),
          "finite losses",
          callbacks.advice.empty() ? "the set's learned rates do not fit this network"
                                   : callbacks.advice});
    if (callbacks.epoch)
      callbacks.epoch({seed.index, static_cast<int64_t>(k) + 1, static_cast<int64_t>(rates.size()),
                       trained.final_loss, trained.theta, trained.state});
  }
  return trained;
}

}  // namespace retort::train
