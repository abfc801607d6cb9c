// Between two matching steps: the published loop sizes, and training on the synthetic set.
#include <algorithm>
#include <array>
#include <cmath>

#include "methods/gradient/gradient_matching.h"
#include "retort/optim/optimizer.h"

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

void train_inner(const nets::Network& network, const SyntheticSet& view,
                 const augment::Strategy& strategy, int64_t epochs, double learning_rate,
                 const Place& place, Student& student) {
  const int64_t size = view.images.size(0);
  const auto optimizer = optim::make_optimizer({.name = "sgd", .momentum = 0}, student.theta);
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto index = static_cast<uint64_t>(epoch);
    const at::Tensor order =
        at::tensor(RandomStream(place.seed, "gradient.order", place.iteration, place.step, index)
                       .permutation(size),
                   at::kLong);
    uint64_t batch = 0;
    for (int64_t begin = 0; begin < size; begin += kBatch, ++batch) {
      const at::Tensor rows = order.slice(0, begin, std::min(begin + kBatch, size));
      at::Tensor images = view.images.index_select(0, rows.to(view.images.device()));
      if (!strategy.operations.empty()) {
        RandomStream stream(place.seed, "gradient.inner_augment", place.iteration, place.step,
                            index, batch);
        const at::Tensor draws =
            augment::draw_each(strategy, images.size(0), images.size(2), images.size(3), stream);
        images = augment::apply(images, draws.to(images.device()));
      }
      const at::Tensor labels = view.labels.index_select(0, rows.to(view.labels.device()));
      const nets::Gradient found =
          network.gradient({student.theta, student.state, images, {}, nets::NormMode::kUpdating},
                           {labels.to(images.device())});
      optimizer->step(student.theta, found.theta, learning_rate);
      student.state = found.state;
    }
  }
}

}  // namespace retort::methods::gradient
