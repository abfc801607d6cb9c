// The one training loop: students of an evaluation, experts, teachers, feature extractors.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "retort/core/stop.h"
#include "retort/data/batch_source.h"
#include "retort/losses/losses.h"
#include "retort/nets/network.h"

namespace retort::train {

/// The sharpness-aware update of FTD (Du et al., CVPR 2023), GSAM: two gradients a batch, the
/// second at the point of largest loss nearby.
struct Gsam {
  bool on = false;
  double rho = 0.01;     ///< how far the second gradient is taken; 0: the plain update
  double alpha = 0.3;    ///< weight of going down the part that the two do not share; 0: SAM
  bool adaptive = true;  ///< the neighbourhood is scaled by the size of each parameter
};

/// How a network is trained.
struct TrainOptions {
  std::string optimizer = "sgd";  ///< a name in optim::optimizer_table()
  double learning_rate = 0.01;
  double momentum = 0.9;       ///< for sgd; beta1 of the others
  double weight_decay = 5e-4;  ///< sgd: added to the gradient of all parameters; adamw: decoupled
  std::string schedule = "drop";  ///< in optim::schedule_table(), one rate an epoch. Where drop
                                  ///< drops, the momentum is reset too (published for DC and DM)
  int64_t schedule_epochs = 0;    ///< epochs to the schedule's end; 0: all
  int64_t warmup_epochs = 0;      ///< straight up from a hundredth of the rate, before the schedule
  int64_t warmup_steps = 0;       ///< above 0, the schedule goes by batches, one rate a batch, and
                                  ///< as many, at most half of all, rise straight from 0 before it
  int64_t epochs = 1000;          ///< drop runs epochs + 1 passes, as published; others run epochs
  int64_t batch_size = 256;       ///< shuffled, the last partial batch kept
  std::string augmentation = "none";  ///< a DSA strategy, parameters per image
  losses::Kind loss = losses::Kind::kCrossEntropy;
  Gsam flat = {};
  bool decay_weights_only = false;  ///< biases and the scales of norms do not decay
  double average_decay = 0;         ///< decay of averages of parameters and statistics; 0: none
};

/// The passes over the data that the options ask for.
int64_t passes(const TrainOptions& options);

/// A trained network, on the device it was trained on.
struct ModelState {
  at::Tensor theta;       ///< [P]
  at::Tensor state;       ///< [S]; undefined where the network has none
  double final_loss = 0;  ///< mean over the last epoch
  /// The moving averages of the two, where they were asked for.
  at::Tensor average_theta = at::Tensor(), average_state = at::Tensor();
};

/// A batch as it is trained on.
struct LabelledBatch {
  at::Tensor images;
  losses::Targets targets;
  std::vector<int64_t> rows = {};  ///< in the source; empty where images are not rows of one
};

/// Batches in an order, with views and targets of their own. Thread-safe.
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual int64_t batches() const = 0;  ///< in an epoch
  virtual LabelledBatch get(int64_t epoch, int64_t batch) const = 0;
};

/// Where all randomness of a training run comes from: streams named from (seed, purpose, index).
struct TrainSeed {
  uint64_t seed = 0;
  std::string purpose = "student";
  uint64_t index = 0;
};

/// Where a training begins: after `epoch` epochs. Undefined tensors: the network's initialisation.
struct Start {
  at::Tensor theta = at::Tensor();  ///< [P]
  at::Tensor state = at::Tensor();  ///< [S]; undefined where the network has none
  int64_t epoch = 0;                ///< above 0 only without momentum: it is not kept
};

/// The network's default initialisation for this training.
Start initial_start(const nets::Network& network, const TrainSeed& seed);

/// What is known after an epoch. The tensors are updated in place by the next one: clone to keep.
struct Epoch {
  uint64_t index;  ///< TrainSeed::index of the network
  int64_t done, total;
  double loss;  ///< mean over the epoch's rows
  const at::Tensor& theta;
  const at::Tensor& state;
};

/// Ways to follow a training and to end it early; all may be empty.
struct Callbacks {
  std::function<void(const Epoch&)> epoch;  ///< after every epoch
  /// After every batch: its rows of the source, and their logits before the step.
  std::function<void(const std::vector<int64_t>& rows, const at::Tensor& logits)> batch;
  const StopFlag* stop = nullptr;  ///< read before every batch
  /// What to do where a loss is not finite, for the message; empty: to lower the learning rate.
  std::string advice = {};
};

/// Trains from the network's default initialisation. ConfigError on unknown words; StateError when
/// the loss is not finite, naming the epoch and the learning rate.
ModelState train(const nets::Network& network, const data::BatchSource& source,
                 const TrainOptions& options, const TrainSeed& seed, at::Device device,
                 const Callbacks& callbacks = {});

/// One of several networks that are trained together. Sources may be shared; get() is called from
/// several threads.
struct Student {
  const data::BatchSource* source;
  uint64_t index;  ///< in place of TrainSeed::index
  Start start = {};
  const BatchStream* batch_stream =
      nullptr;  ///< in place of shuffled and augmented batches of the source
};

/// The same as the above, from the student's start on: a training that was cut short ends as one
/// that was not.
ModelState train(const nets::Network& network, const Student& student, const TrainOptions& options,
                 const TrainSeed& seed, at::Device device, const Callbacks& callbacks = {});

/// Trains all students independently: the same as train() for each. On a CPU small batches run one
/// student a thread, several at once; which way depends on sizes and thread count only, and is the
/// same for every student, so results do not depend on timing. Calls of `callbacks` never overlap.
std::vector<ModelState> train_many(const nets::Network& network,
                                   const std::vector<Student>& students,
                                   const TrainOptions& options, const TrainSeed& seed,
                                   at::Device device, const Callbacks& callbacks = {});

/// Rows of each class of `split` that are classified rightly.
std::vector<int64_t> right_by_class(const nets::Network& network, const ModelState& trained,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device);

/// Fraction of rows of `split` that are classified rightly.
double accuracy(const nets::Network& network, const ModelState& trained, const data::Split& split,
                const data::Preprocessing& preprocessing, at::Device device);

}  // namespace retort::train
