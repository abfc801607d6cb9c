// The loop that all trainings of a network share: batches, an optimizer, a rate.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "augment/siamese.h"
#include "optim/optimizer.h"
#include "retort/core/random.h"
#include "retort/train/trainer.h"

namespace retort::train {

/// The rate of a batch of an epoch, both from 0 on.
using RateOf = std::function<double(int64_t epoch, int64_t batch)>;

/// The epochs of a training.
struct Course {
  int64_t first = 0, last = 0;  ///< epochs first..last - 1
  RateOf rate;
  std::function<bool(int64_t epoch)> resets = {};  ///< the optimizer, before this epoch
  TrainSeed seed = {};                             ///< whose training it is, for reports of it
};

/// Trains one network: the model is moved in place, and its statistics and moving averages with it.
/// Everything it is given must outlive it.
class Trainer {
 public:
  struct Options {
    Gsam flat = {};
    double average_decay =
        0;  ///< of the model's averages; they must be defined where it is above 0
  };

  Trainer(const nets::Network& network, ModelState& model, optim::Optimizer& optimizer)
      : Trainer(network, model, optimizer, Options()) {}
  Trainer(const nets::Network& network, ModelState& model, optim::Optimizer& optimizer,
          const Options& options);

  /// One step; what the network said of the batch before it.
  nets::Gradient step(const LabelledBatch& batch, double rate);
  /// One pass over an epoch's batches: the mean loss of their rows, read back from the device once.
  /// Nothing where a stop was asked for before its end.
  std::optional<double> pass(const BatchStream& batches, int64_t epoch, const RateOf& rate,
                             const Callbacks& callbacks = {});
  /// All epochs, or those before a stop. StateError where the loss of one is not finite.
  void run(const BatchStream& batches, const Course& course, const Callbacks& callbacks = {});

 private:
  at::Tensor direction(const LabelledBatch& batch, const nets::Gradient& found) const;
  void average();

  const nets::Network& network_;
  ModelState& model_;
  optim::Optimizer& optimizer_;
  const Options options_;
};

/// The rows of a source in a fresh order every epoch, each batch augmented; the last partial batch
/// is kept. For one training at a time: it remembers the order of the last epoch asked for.
class ShuffledBatches : public BatchStream {
 public:
  /// Where the draws come from: the order of an epoch, and the augmentation of one of its batches.
  struct Draws {
    std::function<RandomStream(int64_t epoch)> order;
    std::function<RandomStream(int64_t epoch, int64_t batch)> augmentation;
  };
  ShuffledBatches(const data::BatchSource& source, int64_t batch_size, augment::Strategy strategy,
                  Draws draws, losses::Kind loss = losses::Kind::kCrossEntropy);
  /// Mixes a share of the batches by CutMix, after the augmentation.
  void mix(double share, int64_t classes) { mixing_ = {share, classes}; }

  int64_t batches() const override;
  LabelledBatch get(int64_t epoch, int64_t batch) const override;

 private:
  const data::BatchSource& source_;
  const int64_t batch_size_;
  const augment::Strategy strategy_;
  const Draws draws_;
  const losses::Kind loss_;
  struct {
    double share = 0;
    int64_t classes = 0;
  } mixing_;
  mutable int64_t epoch_ = -1;
  mutable std::vector<int64_t> order_;  // of epoch_
};

/// The batches of a student without views of its own: its source, shuffled, and augmented and mixed
/// by draws of (seed, purpose, index).
ShuffledBatches shuffled_batches(const data::BatchSource& source, const TrainOptions& options,
                                 int64_t classes, const TrainSeed& seed);

}  // namespace retort::train
