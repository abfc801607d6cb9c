// The table of evaluation protocols, and the options of an evaluation.
#include <array>
#include <utility>

#include "core/limits.h"
#include "core/registry.h"
#include "eval/post_training.h"
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

/// As dm in batches of 128 (Guo et al., 2024: all configurations and the evaluation script).
Protocol datm() {
  Protocol protocol =
      published("datm", "published for DATM: as dm in batches of 128", 1000, "auto");
  protocol.training.batch_size = 128;
  return protocol;
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
  training.optimizer = "adamw";
  training.learning_rate = 3e-4;
  training.weight_decay = 0;
  training.schedule = "cosine_to_hundredth";
  training.warmup_steps = 500;
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

constexpr const char* kFlippedAndMixed = "one-place:color_crop_flip_scale_rotate+cutmix";

/// AdamW 1e-3 of PyTorch's decay, batches of 128, the rate halved after every fifth (Wang et al.,
/// 2025: configurations and evaluate.py).
Protocol ncfm() {
  train::TrainOptions training;
  training.optimizer = "adamw";
  training.learning_rate = 1e-3;
  training.weight_decay = 0.01;
  training.schedule = "fifths";
  training.epochs = 2000;
  training.batch_size = 128;
  training.augmentation = kFlippedAndMixed;
  return {.name = "ncfm",
          .summary = "published for NCFM: 2,000 epochs of AdamW, siamese augmentation and CutMix",
          .training = training};
}

/// SGD 0.01, momentum 0.9, decay 5e-4, batches of 64 (Ran et al., 2026: arguments and train.py).
Protocol tgdd() {
  train::TrainOptions training;
  training.schedule = "two_drops";
  training.epochs = 1500;
  training.batch_size = 64;
  training.augmentation = kFlippedAndMixed;
  return {.name = "tgdd",
          .summary = "published for TGDD: 1,500 epochs of SGD, siamese augmentation and CutMix",
          .training = training};
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

std::vector<Protocol> own_protocols() {
  return {
      published("dm",
                "published for DM, DSA, MTT, FTD and TESLA: 1,000 epochs, siamese augmentation",
                1000, "auto"),
      published("dc", "published for DC: 300 epochs, no augmentation", 300, "none"),
      datm(),
      remembering(),
      ncfm(),
      tgdd(),
      in_order(),
      published("short", "not published: as dm with 300 epochs, for quick comparisons", 300,
                "auto"),
      published("demo", "not published: as dm with 150 epochs only, for a first look", 150, "auto"),
      frepo(),
  };
}

}  // namespace

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> table = [] {
    std::vector<Protocol> all = own_protocols();
    for (Protocol& protocol : post_trainings()) all.push_back(std::move(protocol));
    return all;
  }();
  return table;
}

void EvalOptions::declare(OptionSet& options) {
  options.group("Evaluation");
  options.add("networks", networks,
              "networks to train, such as convnet,resnet18; empty: the network of the set");
  options.add("students", students,
              "number of freshly initialised networks trained for every figure",
              {.min = 1, .max = 1000});
  options.add("protocol", protocol, "how students are trained; empty: as the set was made for",
              {.choices = names_of<Protocol>(protocols())});
  options.add("evaluation_epochs", evaluation_epochs, "epochs of a student; 0: the protocol's",
              {.min = 0, .max = 1e6});
  options.add("random_baseline", random_baseline,
              "train on random real images as well, as many as take the bytes of the set, drawn "
              "anew for every student");
  options.add("redraw", redraw,
              "choose the images of a selection (random, herding, kcenter, forgetting) anew for "
              "every student, so that the ± includes the luck of the choice; no: all students get "
              "the stored images");
  options.add("whole_set", whole_set, "train on all real training images as well (slow)");
  options.add("whole_set_epochs", whole_set_epochs, "epochs of a student on the whole set",
              {.min = 1, .max = 1e6});
  options.add("part", part,
              "what students are tested on: test, or validation for choosing settings",
              {.choices = {"test", "validation"}});
  options.add("student_labels", student_labels,
              "labels for protocols that train with a teacher: hard, live (asked from the teacher) "
              "or a file of `retort relabel`; auto: the run's file, else live where a teacher is "
              "given, else hard");
  options.add("teacher", teacher, "file of the teacher for live labels", {}, Role::kExecution);
  options.add("seed", seed, "seed of initial parameters, orders, augmentation and random subsets",
              {.min = 0, .max = kLargestSeed});
}

}  // namespace retort::eval
