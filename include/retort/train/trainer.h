// The one training loop: students of an evaluation, experts, teachers, feature extractors.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "retort/augment/siamese.h"
#include "retort/core/options.h"
#include "retort/core/stop.h"
#include "retort/data/batch_source.h"
#include "retort/nets/network.h"

namespace retort::train {

/// How a network is trained.
struct TrainOptions {
  std::string optimiser = "sgd";  ///< sgd (PyTorch's rule) | adamw
  double learning_rate = 0.01;
  double momentum = 0.9;       ///< adamw: beta1 0.9, beta2 0.999
  double weight_decay = 5e-4;  ///< sgd: added to the gradient of all parameters; adamw: decoupled
  std::string schedule = "drop";  ///< drop: x0.1 once after epoch index epochs/2 + 1, momentum
                                  ///< reset (spec of DC/DM: epochs + 1 passes) | constant | cosine
  int64_t epochs = 1000;     ///< drop runs epochs + 1 passes, as published; others run epochs
  int64_t batch_size = 256;  ///< shuffled, the last partial batch kept
  std::string augmentation = "none";  ///< a DSA strategy, parameters per image
  losses::Kind loss = losses::Kind::kCrossEntropy;
};

/// A trained network.
struct Trained {
  at::Tensor theta;       ///< [P]
  at::Tensor state;       ///< [S]
  double final_loss = 0;  ///< mean over the last epoch
};

/// Called after every epoch: (epochs done, epochs in all, mean loss, theta, state).
using EpochHook =
    std::function<void(int64_t, int64_t, double, const at::Tensor&, const at::Tensor&)>;

/// Where all randomness of a training run comes from: streams named from (seed, purpose, index).
struct TrainSeed {
  uint64_t seed = 0;
  std::string purpose = "student";
  uint64_t index = 0;
};

/// Trains from the network's default initialisation. Throws StateError when the loss is not finite.
/// `stop` may be null; when it is requested, the training ends early.
Trained train(const nets::Network& network, const data::BatchSource& source,
              const TrainOptions& options, const TrainSeed& seed, at::Device device,
              const EpochHook& hook = {}, const StopFlag* stop = nullptr);

/// Trains `indices.size()` networks independently, several at once on a CPU where the batches are
/// small; the same as train() one by one with TrainSeed::index = indices[i], each on one thread.
std::vector<Trained> train_many(const nets::Network& network, const data::BatchSource& source,
                                const TrainOptions& options, const TrainSeed& seed,
                                const std::vector<uint64_t>& indices, at::Device device,
                                const EpochHook& hook = {}, const StopFlag* stop = nullptr);

/// Fraction of rows of `split` that are classified rightly.
double accuracy(const nets::Network& network, const Trained& trained, const data::Split& split,
                const data::Preprocessing& preprocessing, at::Device device);

}  // namespace retort::train
