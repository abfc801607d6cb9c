// Published post-trainings (Yin, Xing and Shen, 2023; Yin and Shen, 2024; Zhou et al., 2024; Sun et
// al., 2024).
#include <algorithm>
#include <utility>

#include "eval/post_training.h"

namespace retort::eval {
namespace {

/// AdamW 1e-3, decay 0.01 of weights alone, 300 epochs; what published post-trainings share.
Protocol post_training(std::string name, std::string summary, int64_t batch_size) {
  train::TrainOptions training;
  training.optimiser = "adamw";
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

/// Shifts by 4 pixels, MixUp and temperature 30: the published codes for CIFAR-100.
Protocol for_cifar(Protocol protocol, int64_t epochs) {
  protocol.training.epochs = epochs;
  protocol.post->temperature = 30;
  protocol.post->views.margin = 4;
  protocol.post->views.mixing = "mixup";
  protocol.post->views.alpha = 0.8;
  return protocol;
}

/// SGD 0.2 with a warm-up, T^2 before the divergence (the authors' code for Tiny-ImageNet).
Protocol sre2l_tiny() {
  Protocol protocol =
      post_training("sre2l-tiny", "published for SRe2L on Tiny-ImageNet: SGD, no mixing", 256);
  protocol.training.optimiser = "sgd";
  protocol.training.learning_rate = 0.2;
  protocol.training.weight_decay = 1e-4;
  protocol.training.schedule = "warmup_cosine";
  protocol.training.warmup_steps = 200;  // 5 epochs of 10,000 images
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

/// 100, 50 and 10 at 50, 10 and 1 images per class; twice that from 100 classes on.
int64_t rded_batch(double images_per_class, int64_t classes) {
  const int64_t batch = images_per_class >= 50 ? 100 : images_per_class >= 10 ? 50 : 10;
  return classes >= 100 ? 2 * batch : batch;
}

Protocol rded() {
  Protocol protocol = slow(
      post_training("rded", "published for RDED: whole images, a slow cosine, small batches", 50));
  protocol.post->views.crop_low = 1;
  protocol.post->batch_size = rded_batch;
  return protocol;
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
  if (protocol.post->batch_size) {
    const double images = static_cast<double>(bundle.images.size(0)) /
                          static_cast<double>(std::max<int64_t>(bundle.classes(), 1));
    views.batch_size = protocol.post->batch_size(images, bundle.classes());
  }
  return views;
}

}  // namespace retort::eval
