// A network's training as options say, and its accuracy.
#include "retort/train/trainer.h"

#include <algorithm>
#include <numeric>

#include "augment/training_strategy.h"
#include "optim/optimizer.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "train/learning_rate.h"
#include "train/loop.h"
#include "train/right_by_class.h"

namespace retort::train {
namespace {

/// 1 where a parameter is a weight, of more than one dimension, and 0 elsewhere: [P].
at::Tensor weights_of(const nets::Layout& layout) {
  at::Tensor mask = at::zeros({layout.size});
  for (const nets::Slot& slot : layout.slots)
    if (slot.shape.size() > 1) mask.narrow(0, slot.offset, slot.count).fill_(1);
  return mask;
}

optim::OptimizerOptions optimizer_options(const nets::Network& network, const TrainOptions& options,
                                          at::Device device) {
  optim::OptimizerOptions one{.name = options.optimizer,
                              .momentum = options.momentum,
                              .weight_decay = options.weight_decay};
  if (options.decay_weights_only) one.decaying = weights_of(network.parameters()).to(device);
  return one;
}

/// Where a student begins, on the device, with averages where they are asked for.
ModelState beginning(const nets::Network& network, const Student& student,
                     const TrainOptions& options, const TrainSeed& seed, at::Device device) {
  const Start start = student.start.theta.defined() ? student.start : initial_start(network, seed);
  ModelState model;
  model.theta = start.theta.to(device, start.theta.scalar_type(), false, true);
  if (start.state.defined()) model.state = start.state.to(device);
  if (options.average_decay == 0) return model;
  model.average_theta = model.theta.clone();
  if (model.state.defined()) model.average_state = model.state.clone();
  return model;
}

}  // namespace

ShuffledBatches shuffled_batches(const data::BatchSource& source, const TrainOptions& options,
                                 int64_t classes, const TrainSeed& seed) {
  const ShuffledBatches::Draws draws{
      [seed](int64_t epoch) {
        return RandomStream(seed.seed, seed.purpose + ".order", seed.index,
                            static_cast<uint64_t>(epoch));
      },
      [seed](int64_t epoch, int64_t batch) {
        return RandomStream(seed.seed, seed.purpose + ".augment", seed.index,
                            static_cast<uint64_t>(epoch), static_cast<uint64_t>(batch));
      }};
  const augment::TrainingStrategy strategy = augment::parse_training_strategy(options.augmentation);
  ShuffledBatches shuffled(source, options.batch_size, strategy.siamese, draws, options.loss);
  shuffled.mix(strategy.cutmix, classes);
  return shuffled;
}

Start initial_start(const nets::Network& network, const TrainSeed& seed) {
  Start start;
  start.theta = network.initial(RandomStream(seed.seed, seed.purpose + ".initial", seed.index));
  if (network.state().size > 0) start.state = network.initial_state();
  return start;
}

ModelState train(const nets::Network& network, const Student& student, const TrainOptions& options,
                 const TrainSeed& seed, at::Device device, const Callbacks& callbacks) {
  TORCH_CHECK(student.start.epoch == 0 || (options.optimizer == "sgd" && options.momentum == 0),
              "a start after some epochs has no moments");
  const TrainSeed own{seed.seed, seed.purpose, student.index};
  ModelState model = beginning(network, student, options, own, device);
  const ShuffledBatches shuffled =
      shuffled_batches(*student.source, options, network.shape().classes, own);
  const BatchStream& batches = student.batch_stream ? *student.batch_stream : shuffled;
  const auto optimizer =
      optim::make_optimizer(optimizer_options(network, options, device), model.theta);
  Trainer trainer(network, model, *optimizer,
                  {.flat = options.flat, .average_decay = options.average_decay});
  const int64_t each = batches.batches();
  trainer.run(batches,
              {.first = student.start.epoch,
               .last = passes(options),
               .rate = [&](int64_t epoch,
                           int64_t batch) { return learning_rate_at(options, epoch, batch, each); },
               .resets = [&](int64_t epoch) { return resets_before(options, epoch); },
               .seed = own},
              callbacks);
  return model;
}

ModelState train(const nets::Network& network, const data::BatchSource& source,
                 const TrainOptions& options, const TrainSeed& seed, at::Device device,
                 const Callbacks& callbacks) {
  return train(network, Student{&source, seed.index}, options, seed, device, callbacks);
}

at::Tensor confusion(const std::function<at::Tensor(const at::Tensor&)>& predict,
                     const data::Split& split, const data::Preprocessing& preprocessing,
                     at::Device device) {
  constexpr int64_t kChunk = 1024;  // bounds the float copy of the images: 12 MB at 3x32x32
  TORCH_CHECK(split.size() > 0, "accuracy needs at least one image");
  const auto classes = std::ssize(split.rows_by_class);
  at::Tensor taken = at::zeros({classes * classes}, at::kLong);
  for (int64_t begin = 0; begin < split.size(); begin += kChunk) {
    const int64_t count = std::min(kChunk, split.size() - begin);
    const at::Tensor images = preprocessing.apply(split.images.narrow(0, begin, count), device);
    const at::Tensor found = predict(images).argmax(1).to(at::kCPU);
    const at::Tensor labels = split.labels.narrow(0, begin, count);
    taken += at::bincount(labels * classes + found, {}, classes * classes);
  }
  return taken.view({classes, classes});
}

std::vector<int64_t> right_by_class(const std::function<at::Tensor(const at::Tensor&)>& predict,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device) {
  const at::Tensor right = confusion(predict, split, preprocessing, device).diagonal().contiguous();
  return {right.data_ptr<int64_t>(), right.data_ptr<int64_t>() + right.numel()};
}

std::vector<int64_t> right_by_class(const nets::Network& network, const ModelState& trained,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device) {
  const auto predict = [&](const at::Tensor& images) {
    return network.predict(trained.theta, trained.state, images);
  };
  return right_by_class(predict, split, preprocessing, device);
}

double accuracy(const nets::Network& network, const ModelState& trained, const data::Split& split,
                const data::Preprocessing& preprocessing, at::Device device) {
  const auto right = right_by_class(network, trained, split, preprocessing, device);
  return static_cast<double>(std::accumulate(right.begin(), right.end(), int64_t{0})) /
         static_cast<double>(split.size());
}

}  // namespace retort::train
