// The table of evaluation protocols, and the options of an evaluation.
#include <algorithm>
#include <array>
#include <utility>

#include "retort/core/registry.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {
namespace {

/// SGD 0.01, momentum 0.9, decay 5e-4, batches of 256, rate x0.1 after half (Zhao et al., 2021).
Protocol published(std::string name, std::string summary, int64_t epochs,
                   std::string augmentation) {
  train::TrainOptions training;
  training.epochs = epochs;
  training.augmentation = std::move(augmentation);
  return {.name = std::move(name), .summary = std::move(summary), .training = training};
}

/// Published for sets of 10, 100, 200, 400 and 500, 1,000 and 2,000 and 5,000 images.
int64_t frepo_steps(int64_t images) {
  constexpr std::array<std::pair<int64_t, int64_t>, 5> kUpTo = {
      {{10, 1000}, {100, 2000}, {200, 20000}, {500, 5000}, {1000, 10000}}};
  for (const auto& [most, steps] : kUpTo)
    if (images <= most) return steps;
  return 40000;
}

/// Regression on the labels: Adam 3e-4, 500 steps of warm-up, then a cosine (Zhou et al., 2022).
Protocol frepo() {
  train::TrainOptions training;
  training.optimiser = "adamw";
  training.learning_rate = 3e-4;
  training.weight_decay = 0;
  training.schedule = "warmup_cosine";
  training.batch_size = 500;
  training.augmentation = "auto";
  training.loss = losses::Kind::kSquared;
  return {.name = "frepo",
          .summary =
              "published for FRePo: squared error on centred labels, 1,000 to 40,000 steps by "
              "the set's size, no BatchNorm",
          .training = training,
          .steps = frepo_steps,
          .without_batchnorm = true};
}

/// SGD 0.01, momentum 0.9, no decay, a constant rate, batches of 640 (Deng and Russakovsky, 2022).
Protocol remembering() {
  train::TrainOptions training;
  training.weight_decay = 0;
  training.schedule = "constant";
  training.epochs = 300;
  training.batch_size = 640;
  training.augmentation = "auto";
  return {"rtp", "published for addressable memories: 300 epochs at a constant rate", training};
}

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

Protocol in_order() {
  train::TrainOptions training;
  training.learning_rate = 0.02;
  training.momentum = 0;
  training.weight_decay = 0;
  training.schedule = "constant";
  training.epochs = 3;
  return {.name = "dd",
          .summary = "published for DD: the learned steps in their order",
          .training = training,
          .ordered = true};
}

}  // namespace

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> table = {
      published("dm", "published for DM and DSA: 1,000 epochs, siamese augmentation", 1000, "auto"),
      published("dc", "published for DC: 300 epochs, no augmentation", 300, "none"),
      remembering(),
      in_order(),
      published("short", "not published: as dm with 300 epochs, for quick comparisons", 300,
                "auto"),
      published("demo", "not published: as dm with 150 epochs only, for a first look", 150, "auto"),
      frepo(),
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
  return table;
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

void EvalOptions::declare(OptionSet& options) {
  options.group("Evaluation");
  options.add("networks", networks,
              "networks to train, such as convnet,resnet18; empty: the bundle's");
  options.add("students", students, "freshly initialised networks to train for every figure",
              {.min = 1, .max = 1000});
  options.add("protocol", protocol, "how students are trained; empty: as the bundle was made for",
              {.choices = names_of<Protocol>(protocols())});
  options.add("evaluation_epochs", evaluation_epochs, "epochs of a student; 0: the protocol's",
              {.min = 0, .max = 1e6});
  options.add("random_baseline", random_baseline,
              "train on random real images of the same number as well");
  options.add("whole_set", whole_set, "train on all real training images as well (slow)");
  options.add("whole_set_epochs", whole_set_epochs, "epochs of a student of the whole set",
              {.min = 1, .max = 1e6});
  options.add("part", part,
              "what students are tested on: test, or validation for choosing settings",
              {.choices = {"test", "validation"}});
  options.add("labels", labels,
              "of a post-training: hard, live (from the teacher) or a file of `retort relabel`; "
              "auto: the run's file, else live where a teacher is given, else hard");
  options.add("teacher", teacher, "file of the teacher for live labels", {}, Role::kExecution);
  options.add("seed", seed, "seed of initial parameters, orders, augmentation and random subsets",
              {.min = 0});
}

}  // namespace retort::eval
