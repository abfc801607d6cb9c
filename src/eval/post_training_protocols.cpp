// Published post-trainings (Yin, Xing and Shen, 2023; Yin and Shen, 2024; Zhou et al., 2024; Sun et
// al., 2024).
#include <algorithm>
#include <sstream>
#include <string>
#include <utility>

#include "eval/post_training.h"
#include "nets/specification.h"

namespace retort::eval {
namespace {

/// AdamW 1e-3, decay 0.01 of weights alone, 300 epochs; what published post-trainings share.
Protocol post_training(std::string name, std::string summary, int64_t batch_size) {
  train::TrainOptions training;
  training.optimizer = "adamw";
  training.learning_rate = 1e-3;
  training.weight_decay = 0.01;
  training.decay_weights_only = true;
  training.schedule = "cosine";
  training.epochs = 300;
  training.batch_size = batch_size;
  training.average_decay = 0.99;
  return {.name = std::move(name),
          .summary = std::move(summary),
          .training = training,
          .post = PostTraining{}};
}

Protocol slow(Protocol protocol) {
  protocol.training.schedule = "slow_cosine";
  return protocol;
}

/// Shifts by 4 pixels, MixUp, temperature 30, decay of all parameters, and a teacher that was never
/// put out of its training mode: the published codes for CIFAR-100.
Protocol for_cifar(Protocol protocol, int64_t epochs) {
  protocol.training.epochs = epochs;
  protocol.training.decay_weights_only = false;
  protocol.post->batch_statistics = true;
  protocol.post->temperature = 30;
  protocol.post->views.padding = 4;
  protocol.post->views.mixing = "mixup";
  protocol.post->views.alpha = 0.8;
  return protocol;
}

/// SGD 0.2 as torchvision trains (5 epochs of warm-up, decay of all parameters), T^2 before the
/// divergence: the authors' code for Tiny-ImageNet.
Protocol sre2l_tiny() {
  Protocol protocol =
      post_training("sre2l-tiny", "published for SRe2L on Tiny-ImageNet: SGD, no mixing", 256);
  protocol.training.optimizer = "sgd";
  protocol.training.learning_rate = 0.2;
  protocol.training.weight_decay = 1e-4;
  protocol.training.decay_weights_only = false;
  protocol.training.warmup_epochs = 5;
  protocol.training.epochs = 100;
  protocol.post->temperature_squared = true;
  protocol.post->views.mixing = "none";
  return protocol;
}

/// The code stops after 200 epochs of a slow cosine of 300.
Protocol scdd_cifar() {
  Protocol protocol = for_cifar(
      slow(post_training("scdd-cifar", "published for SC-DD on CIFAR-100: 200 epochs, MixUp", 64)),
      200);
  protocol.training.schedule_epochs = 300;
  return protocol;
}

/// The three-block ConvNet on CIFAR-100, which has a setting of its own.
bool is_small_on_cifar100(const std::string& network, const synthetic::Bundle& set) {
  return nets::is_convnet_of_depth(network, 3) && set.classes() == 100 && set.images.size(2) == 32;
}

/// 100, 50 and 10 at 50, 10 and 1 images per class; twice that from 100 classes on, but 100 for
/// Tiny-ImageNet and 25 for a ConvNet on CIFAR-100.
int64_t rded_batch(const synthetic::Bundle& set) {
  constexpr int64_t kTiny = 200, kMany = 100;  // classes
  const int64_t classes = std::max<int64_t>(set.classes(), 1);
  if (classes == kTiny) return 100;
  if (is_small_on_cifar100(set.network, set)) return 25;
  const auto images = static_cast<double>(set.images.size(0)) / static_cast<double>(classes);
  const int64_t batch = images >= 50 ? 100 : images >= 10 ? 50 : 10;
  return classes >= kMany ? 2 * batch : batch;
}

/// AdamW's rate goes by the student.
double rded_rate(const std::string& student, const synthetic::Bundle& set) {
  if (is_small_on_cifar100(student, set) && is_small_on_cifar100(set.network, set)) return 2e-3;
  if (nets::family_of(student) == "vgg11") return 5e-4;
  if (nets::family_of(student) == "alexnet") return 1e-4;
  return 1e-3;
}

Protocol rded() {
  Protocol protocol = slow(post_training(
      "rded", "published for RDED: patches shuffled, a slow cosine, small batches", 50));
  protocol.post->mosaics = true;
  protocol.post->views.min_crop_area = 1;
  protocol.post->batch_size = rded_batch;
  protocol.post->learning_rate = rded_rate;
  return protocol;
}

/// Of how many patches along a side the images of a set are: what the run that made it was told.
int64_t mosaic_of(const synthetic::Bundle& set) {
  std::istringstream lines(set.recipe);
  int64_t mosaic = 1;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("mosaic = ")) std::istringstream(line.substr(9)) >> mosaic;
  const bool patches = set.method == "rded" || set.method == "imported";
  return patches ? std::clamp<int64_t>(mosaic, 1, set.images.size(2)) : 1;
}

}  // namespace

std::vector<Protocol> post_trainings() {
  return {
      post_training("sre2l", "published for SRe2L on ImageNet-1K: batches of 1,024, CutMix", 1024),
      for_cifar(
          post_training("sre2l-cifar", "published for SRe2L on CIFAR-100: 400 epochs, MixUp", 128),
          400),
      sre2l_tiny(),
      post_training("cda", "published for CDA on ImageNet-1K: batches of 128, CutMix", 128),
      post_training("scdd", "published for SC-DD on ImageNet-1K: batches of 64, CutMix", 64),
      scdd_cifar(),
      rded(),
      slow(post_training(
          "frozen", "not published: one post-training for all, batches of 50, a slow cosine", 50)),
  };
}

train::ViewOptions views_of(const Protocol& protocol, const synthetic::Bundle& bundle) {
  train::ViewOptions views = protocol.post->views;
  views.batch_size = protocol.training.batch_size;
  if (protocol.post->batch_size) views.batch_size = protocol.post->batch_size(bundle);
  if (protocol.post->mosaics) {
    views.mosaic = mosaic_of(bundle);
    views.min_crop_area = 1 / static_cast<double>(views.mosaic);
  }
  return views;
}

}  // namespace retort::eval
