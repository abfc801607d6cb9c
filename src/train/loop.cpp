#include "train/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "retort/augment/mix.h"
#include "retort/core/error.h"
#include "train/gsam.h"

namespace retort::train {
namespace {

bool stopped(const Callbacks& callbacks) {
  return callbacks.stop && callbacks.stop->requested();
}

StateError diverged(const nets::Network& network, const Course& course, int64_t epoch, double loss,
                    const std::string& advice) {
  return StateError(
      {fmt::format("training {} ({} {}), epoch {} of {}", network.name(), course.seed.purpose,
                   course.seed.index, epoch + 1, course.last),
       fmt::format("the mean loss is {} at learning rate {}", loss, course.rate(epoch, 0)),
       "a finite loss",
       advice.empty() ? "lower the learning rate, and check that the images and "
                        "targets it trains on are finite"
                      : advice});
}

}  // namespace

Trainer::Trainer(const nets::Network& network, ModelState& model, optim::Optimizer& optimizer,
                 const Options& options)
    : network_(network), model_(model), optimizer_(optimizer), options_(options) {}

nets::Gradient Trainer::step(const LabelledBatch& batch, double rate) {
  const auto norm = model_.state.defined() ? nets::NormMode::kUpdating : nets::NormMode::kBatch;
  nets::Gradient found =
      network_.gradient({model_.theta, model_.state, batch.images, {}, norm}, batch.targets);
  optimizer_.step(model_.theta, direction(batch, found), rate);
  if (model_.state.defined()) model_.state = found.state;
  if (options_.average_decay > 0) average();
  return found;
}

at::Tensor Trainer::direction(const LabelledBatch& batch, const nets::Gradient& found) const {
  if (!options_.flat.on) return found.theta;
  const at::Tensor nearby = ascent_point(model_.theta, found.theta, options_.flat);
  const nets::Gradient second = network_.gradient(
      {nearby, model_.state, batch.images, {}, nets::NormMode::kBatch}, batch.targets);
  return gsam_direction(found.theta, second.theta, options_.flat);
}

void Trainer::average() {
  model_.average_theta.lerp_(model_.theta, 1 - options_.average_decay);
  if (model_.state.defined()) model_.average_state.lerp_(model_.state, 1 - options_.average_decay);
}

std::optional<double> Trainer::pass(const BatchStream& batches, int64_t epoch, const RateOf& rate,
                                    const Callbacks& callbacks) {
  at::Tensor sum = at::zeros({}, model_.theta.options().dtype(at::kDouble));
  int64_t rows = 0;
  for (int64_t i = 0; i < batches.batches(); ++i) {
    if (stopped(callbacks)) return {};
    const LabelledBatch batch = batches.get(epoch, i);
    const nets::Gradient found = step(batch, rate(epoch, i));
    if (callbacks.batch) callbacks.batch(batch.rows, found.logits);
    sum.add_(found.loss.to(at::kDouble), static_cast<double>(batch.images.size(0)));
    rows += batch.images.size(0);
  }
  if (stopped(callbacks)) return {};
  return sum.item<double>() / static_cast<double>(rows);
}

void Trainer::run(const BatchStream& batches, const Course& course, const Callbacks& callbacks) {
  for (int64_t epoch = course.first; epoch < course.last; ++epoch) {
    if (course.resets && course.resets(epoch)) optimizer_.reset();
    const std::optional<double> loss = pass(batches, epoch, course.rate, callbacks);
    if (!loss) return;
    if (!std::isfinite(*loss)) throw diverged(network_, course, epoch, *loss, callbacks.advice);
    model_.final_loss = *loss;
    if (callbacks.epoch)
      callbacks.epoch(
          {course.seed.index, epoch + 1, course.last, *loss, model_.theta, model_.state});
  }
}

ShuffledBatches::ShuffledBatches(const data::BatchSource& source, int64_t batch_size,
                                 augment::Strategy strategy, Draws draws, losses::Kind loss)
    : source_(source),
      batch_size_(batch_size),
      strategy_(std::move(strategy)),
      draws_(std::move(draws)),
      loss_(loss) {
  TORCH_CHECK(source.size() > 0 && batch_size > 0, "training needs rows and batches");
}

int64_t ShuffledBatches::batches() const {
  return (source_.size() + batch_size_ - 1) / batch_size_;
}

LabelledBatch ShuffledBatches::get(int64_t epoch, int64_t batch) const {
  if (epoch != epoch_) order_ = draws_.order(epoch).permutation(source_.size());
  epoch_ = epoch;
  const auto begin = order_.begin() + batch * batch_size_;
  const auto end = order_.begin() + std::min((batch + 1) * batch_size_, source_.size());
  const std::vector<int64_t> rows(begin, end);
  const data::Batch examples = source_.get(rows);
  at::Tensor images = examples.images, targets = examples.targets;
  if (strategy_.operations.empty() && mixing_.share == 0) return {images, {targets, loss_}, rows};
  const int64_t count = images.size(0), height = images.size(2), width = images.size(3);
  RandomStream stream = draws_.augmentation(epoch, batch);
  if (!strategy_.operations.empty())
    images = augment::apply(images, augment::draw_each(strategy_, count, height, width, stream));
  if (mixing_.share > 0 && stream.uniform() < mixing_.share) {
    const augment::Mix mix =
        augment::draw_mix(augment::Mix::Kind::kCut, 1, count, height, width, stream);
    images = augment::mix_images(images, mix);
    if (!targets.is_floating_point())
      targets = at::one_hot(targets, mixing_.classes).to(images.scalar_type());
    targets = augment::mix_targets(targets, mix);
  }
  return {images, {targets, loss_}, rows};
}

}  // namespace retort::train
