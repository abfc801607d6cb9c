// One network's training, and its accuracy.
#include "retort/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "retort/augment/siamese.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/optim/optimizer.h"
#include "train/gsam.h"
#include "train/learning_rate.h"

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

/// Everything of one training run that changes from step to step.
class Run {
 public:
  Run(const nets::Network& network, const Student& student, const TrainOptions& options,
      const TrainSeed& seed, at::Device device, const Callbacks& callbacks)
      : network_(network),
        source_(*student.source),
        lessons_(student.batch_stream),
        options_(options),
        seed_{seed.seed, seed.purpose, student.index},
        watch_(callbacks),
        strategy_(augment::parse_strategy(options.augmentation)),
        first_(student.start.epoch) {
    TORCH_CHECK(source_.size() > 0 && options.batch_size > 0, "training needs rows and batches");
    TORCH_CHECK(first_ == 0 || (options.optimizer == "sgd" && options.momentum == 0),
                "a start after some epochs has no moments");
    const Start start =
        student.start.theta.defined() ? student.start : initial_start(network, seed_);
    trained_.theta = start.theta.to(device, start.theta.scalar_type(), false, true);
    optimizer_ = optim::make_optimizer(optimizer_options(network, options, device), trained_.theta);
    if (start.state.defined()) trained_.state = start.state.to(device);
    if (options.average_decay > 0) trained_.average_theta = trained_.theta.clone();
    if (options.average_decay > 0 && trained_.state.defined())
      trained_.average_state = trained_.state.clone();
  }

  ModelState run() {
    const int64_t total = passes(options_);
    for (int64_t epoch = first_; epoch < total && !stopped(); ++epoch) {
      if (resets_before(options_, epoch)) optimizer_->reset();
      const double loss = pass(epoch);
      if (stopped()) break;
      if (!std::isfinite(loss)) throw diverged(epoch, total, loss);
      trained_.final_loss = loss;
      if (watch_.epoch)
        watch_.epoch({seed_.index, epoch + 1, total, loss, trained_.theta, trained_.state});
    }
    return trained_;
  }

 private:
  /// One pass over all rows in a fresh order; their mean loss, read back from the device once.
  double pass(int64_t epoch) {
    if (lessons_) return pass_of_lessons(epoch);
    const auto index = static_cast<uint64_t>(epoch);
    const std::vector<int64_t> order =
        RandomStream(seed_.seed, seed_.purpose + ".order", seed_.index, index)
            .permutation(source_.size());
    const int64_t size = source_.size();
    at::Tensor sum = at::zeros({}, trained_.theta.options().dtype(at::kDouble));
    const int64_t batches = (size + options_.batch_size - 1) / options_.batch_size;
    for (int64_t batch = 0; batch < batches && !stopped(); ++batch) {
      const int64_t begin = batch * options_.batch_size;
      const int64_t end = std::min(begin + options_.batch_size, size);
      const std::vector<int64_t> rows(order.begin() + begin, order.begin() + end);
      const double rate = learning_rate_at(options_, epoch, batch, batches);
      const at::Tensor loss = step(rows, index, static_cast<uint64_t>(batch), rate);
      sum.add_(loss.to(at::kDouble), static_cast<double>(end - begin));
    }
    return sum.item<double>() / static_cast<double>(size);
  }

  double pass_of_lessons(int64_t epoch) {
    double sum = 0, rows = 0;
    const int64_t batches = lessons_->batches();
    for (int64_t batch = 0; batch < batches && !stopped(); ++batch) {
      const LabelledBatch lesson = lessons_->get(epoch, batch);
      const at::Tensor loss = step(lesson, {}, learning_rate_at(options_, epoch, batch, batches));
      const auto count = static_cast<double>(lesson.images.size(0));
      sum += loss.item<double>() * count;
      rows += count;
    }
    return sum / std::max(rows, 1.0);
  }

  at::Tensor step(const std::vector<int64_t>& rows, uint64_t epoch, uint64_t batch, double rate) {
    data::Batch examples = source_.get(rows);
    return step({augmented(examples.images, epoch, batch), {examples.targets, options_.loss}}, rows,
                rate);
  }

  /// One optimizer step on a batch; its mean loss.
  at::Tensor step(const LabelledBatch& lesson, const std::vector<int64_t>& rows, double rate) {
    const at::Tensor& images = lesson.images;
    const losses::Targets& targets = lesson.targets;
    const nets::Gradient gradient = network_.gradient(
        {trained_.theta, trained_.state, images, {}, nets::NormMode::kUpdating}, targets);
    if (watch_.batch) watch_.batch(rows, gradient.logits);
    at::Tensor direction = gradient.theta;
    if (options_.flat.on) {
      const at::Tensor nearby = ascent_point(trained_.theta, gradient.theta, options_.flat);
      const at::Tensor second =
          network_.gradient({nearby, trained_.state, images, {}, nets::NormMode::kBatch}, targets)
              .theta;
      direction = gsam_direction(gradient.theta, second, options_.flat);
    }
    optimizer_->step(trained_.theta, direction, rate);
    if (trained_.state.defined()) trained_.state = gradient.state;
    average();
    return gradient.loss;
  }

  void average() {
    if (!trained_.average_theta.defined()) return;
    trained_.average_theta.lerp_(trained_.theta, 1 - options_.average_decay);
    if (trained_.state.defined())
      trained_.average_state.lerp_(trained_.state, 1 - options_.average_decay);
  }

  at::Tensor augmented(const at::Tensor& images, uint64_t epoch, uint64_t batch) const {
    if (strategy_.operations.empty()) return images;
    RandomStream stream(seed_.seed, seed_.purpose + ".augment", seed_.index, epoch, batch);
    const at::Tensor rows =
        augment::draw_each(strategy_, images.size(0), images.size(2), images.size(3), stream);
    return augment::apply(images, rows.to(images.device()));
  }

  bool stopped() const { return watch_.stop && watch_.stop->requested(); }

  StateError diverged(int64_t epoch, int64_t total, double loss) const {
    return StateError({fmt::format("training {} ({} {}), epoch {} of {}", network_.name(),
                                   seed_.purpose, seed_.index, epoch + 1, total),
                       fmt::format("the mean loss is {} at learning rate {}", loss,
                                   learning_rate_at(options_, epoch)),
                       "a finite loss",
                       watch_.advice.empty()
                           ? "lower the learning rate, and check that the images and targets it "
                             "trains on are finite"
                           : watch_.advice});
  }

  const nets::Network& network_;
  const data::BatchSource& source_;
  const BatchStream* lessons_;
  const TrainOptions& options_;
  const TrainSeed seed_;
  const Callbacks& watch_;
  const augment::Strategy strategy_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  const int64_t first_;
  ModelState trained_;
};

}  // namespace

Start initial_start(const nets::Network& network, const TrainSeed& seed) {
  Start start;
  start.theta = network.initial(RandomStream(seed.seed, seed.purpose + ".initial", seed.index));
  if (network.state().size > 0) start.state = network.initial_state();
  return start;
}

ModelState train(const nets::Network& network, const Student& student, const TrainOptions& options,
                 const TrainSeed& seed, at::Device device, const Callbacks& callbacks) {
  return Run(network, student, options, seed, device, callbacks).run();
}

ModelState train(const nets::Network& network, const data::BatchSource& source,
                 const TrainOptions& options, const TrainSeed& seed, at::Device device,
                 const Callbacks& callbacks) {
  return train(network, Student{&source, seed.index}, options, seed, device, callbacks);
}

std::vector<int64_t> right_by_class(const nets::Network& network, const ModelState& trained,
                                    const data::Split& split,
                                    const data::Preprocessing& preprocessing, at::Device device) {
  constexpr int64_t kChunk = 1024;  // bounds the float copy of the images: 12 MB at 3x32x32
  TORCH_CHECK(split.size() > 0, "accuracy needs at least one image");
  const auto classes = static_cast<int64_t>(split.rows_by_class.size());
  at::Tensor right = at::zeros({classes}, at::kLong);
  for (int64_t begin = 0; begin < split.size(); begin += kChunk) {
    const int64_t count = std::min(kChunk, split.size() - begin);
    const at::Tensor images = preprocessing.apply(split.images.narrow(0, begin, count), device);
    const at::Tensor found = network.predict(trained.theta, trained.state, images).argmax(1);
    const at::Tensor labels = split.labels.narrow(0, begin, count);
    right += at::bincount(labels.masked_select(found.to(at::kCPU).eq(labels)), {}, classes);
  }
  return {right.data_ptr<int64_t>(), right.data_ptr<int64_t>() + classes};
}

double accuracy(const nets::Network& network, const ModelState& trained, const data::Split& split,
                const data::Preprocessing& preprocessing, at::Device device) {
  const auto right = right_by_class(network, trained, split, preprocessing, device);
  return static_cast<double>(std::accumulate(right.begin(), right.end(), int64_t{0})) /
         static_cast<double>(split.size());
}

}  // namespace retort::train
