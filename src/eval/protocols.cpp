// The table of evaluation protocols, and the options of an evaluation.
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
  return {std::move(name), std::move(summary), training};
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

Protocol in_order() {
  train::TrainOptions training;
  training.learning_rate = 0.02;
  training.momentum = 0;
  training.weight_decay = 0;
  training.schedule = "constant";
  training.epochs = 3;
  return {"dd", "published for DD: the learned steps in their order", training, true};
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
  };
  return table;
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
  options.add("seed", seed, "seed of initial parameters, orders, augmentation and random subsets",
              {.min = 0});
}

}  // namespace retort::eval
