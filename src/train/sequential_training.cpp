#include "train/sequential_training.h"

#include <utility>

#include "core/sizes.h"
#include "optim/optimizer.h"
#include "train/loop.h"

namespace retort::train {

std::vector<std::vector<int64_t>> ordered_batches(const std::vector<int64_t>& counts) {
  std::vector<std::vector<int64_t>> batches;
  int64_t begin = 0;
  for (const int64_t count : counts) {
    for (int64_t i = 0; i < count; ++i) {
      if (std::ssize(batches) <= i) batches.emplace_back();
      batches[to_size(i)].push_back(begin + i);
    }
    begin += count;
  }
  return batches;
}

namespace {

/// Batches of fixed rows, one an epoch, again from the first after the last.
class FixedBatches : public BatchStream {
 public:
  FixedBatches(const data::BatchSource& source, std::vector<std::vector<int64_t>> rows)
      : source_(source), rows_(std::move(rows)) {}
  int64_t batches() const override { return 1; }
  LabelledBatch get(int64_t epoch, int64_t) const override {
    const std::vector<int64_t>& rows = rows_[to_size(epoch) % rows_.size()];
    const data::Batch batch = source_.get(rows);
    return {batch.images, {batch.targets}, rows};
  }

 private:
  const data::BatchSource& source_;
  const std::vector<std::vector<int64_t>> rows_;
};

}  // namespace

ModelState train_sequentially(const nets::Network& network, const data::BatchSource& source,
                              const std::vector<int64_t>& counts, const std::vector<double>& rates,
                              const TrainSeed& seed, at::Device device,
                              const Callbacks& callbacks) {
  const at::NoGradGuard no_graph;
  const Start start = initial_start(network, seed);
  ModelState model{start.theta.to(device), {}};
  if (start.state.defined()) model.state = start.state.to(device);
  const FixedBatches batches(source, ordered_batches(counts));
  const auto optimizer = optim::make_plain_descent();
  Callbacks advised = callbacks;
  if (advised.advice.empty()) advised.advice = "the set's learned rates do not fit this network";
  Trainer(network, model, *optimizer)
      .run(batches,
           {.last = std::ssize(rates),
            .rate = [&](int64_t step, int64_t) { return rates[to_size(step)]; },
            .seed = seed},
           advised);
  return model;
}

}  // namespace retort::train
