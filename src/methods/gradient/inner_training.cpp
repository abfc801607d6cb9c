// Between two matching steps: the published loop sizes, and training on the synthetic set.
#include <array>
#include <cmath>

#include "methods/gradient/gradient_matching.h"
#include "train/loop.h"

namespace retort::methods::gradient {
namespace {

constexpr int64_t kBatch = 256;

struct Published {
  int64_t images, epochs;
};
constexpr std::array<Published, 5> kPublished{{{10, 50}, {20, 25}, {30, 20}, {40, 15}, {50, 10}}};

}  // namespace

Loops published_loops(int64_t images_per_class) {
  // Deviation: the published code refuses all numbers of images but 1, 10, 20, 30, 40 and 50.
  if (images_per_class <= 1) return {1, 1};
  if (images_per_class >= kPublished.back().images) return {50, kPublished.back().epochs};
  if (images_per_class <= kPublished.front().images)
    return {images_per_class, kPublished.front().epochs};
  size_t above = 1;
  while (kPublished[above].images < images_per_class) ++above;
  const auto& [low, low_epochs] = kPublished[above - 1];
  const auto& [high, high_epochs] = kPublished[above];
  const double share =
      static_cast<double>(images_per_class - low) / static_cast<double>(high - low);
  const double epochs =
      static_cast<double>(low_epochs) + share * static_cast<double>(high_epochs - low_epochs);
  return {images_per_class, std::lround(epochs)};
}

void train_inner(const nets::Network& network, const SyntheticSet& set,
                 const augment::Strategy& strategy, int64_t epochs, double learning_rate,
                 const Place& place, Student& student) {
  const auto source = data::tensor_source(set.images, set.labels.to(set.images.device()));
  const auto stream = [&place](const char* purpose, int64_t epoch, int64_t batch) {
    return RandomStream(place.seed, purpose, place.iteration, place.step,
                        static_cast<uint64_t>(epoch), static_cast<uint64_t>(batch));
  };
  const train::ShuffledBatches batches(
      *source, kBatch, strategy,
      {[&](int64_t epoch) { return stream("gradient.order", epoch, 0); },
       [&](int64_t epoch, int64_t batch) {
         return stream("gradient.inner_augment", epoch, batch);
       }});
  train::ModelState model{student.theta, student.state};
  const auto optimizer = optim::make_optimizer({.name = "sgd", .momentum = 0}, model.theta);
  train::Trainer trainer(network, model, *optimizer);
  for (int64_t epoch = 0; epoch < epochs; ++epoch)
    trainer.pass(batches, epoch, [&](int64_t, int64_t) { return learning_rate; });
  student.state = model.state;
}

}  // namespace retort::methods::gradient
