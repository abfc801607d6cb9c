// The options of scores, and their JSON.
#include <cmath>

#include "core/limits.h"
#include "core/registry.h"
#include "eval/score.h"

namespace retort::eval {
namespace {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json to_json(const Interval& estimate) {
  return {{"mean", estimate.mean}, {"low", number(estimate.low)}, {"high", number(estimate.high)}};
}

}  // namespace

void ScoreOptions::declare(OptionSet& set) {
  set.group("Score");
  set.add("network", network, "the students' network; empty: that of the set");
  set.add("protocol", protocol, "how students are trained; empty: as the set was made for",
          {.choices = names_of<Protocol>(protocols())});
  set.add("runs", runs, "students of every figure; random images are drawn anew for each",
          {.min = 1, .max = 1000});
  set.add("evaluation_epochs", evaluation_epochs, "epochs of a student; 0: the protocol's",
          {.min = 0, .max = 1e6});
  set.add("rates", rates,
          "learning rates that are tried on validation images, for every figure but that of a set "
          "with a rate of its own");
  set.add("label_weight", label_weight,
          "weight of the improvement over random in the label-robust score", {.min = 0, .max = 1});
  set.add("augmentation_weight", augmentation_weight,
          "weight of the figure with augmentation in the augmentation-robust score",
          {.min = 0, .max = 1});
  set.add("coresets", coresets, "methods that choose real images, to stand beside every set",
          {.choices = coreset_methods()});
  set.add("selection_epochs", selection_epochs,
          "epochs over the real images of the network that a choice looks at",
          {.min = 1, .max = 100000});
  set.add("whole_set_accuracy", whole_set_accuracy,
          "a known accuracy of the whole set, as a fraction; 0: it is trained",
          {.min = 0, .max = 1});
  set.add("whole_set_epochs", whole_set_epochs, "epochs of a student of the whole set",
          {.min = 1, .max = 1e6});
  set.add("whole_set_students", whole_set_students, "students of the whole set",
          {.min = 1, .max = 1000});
  set.add("held_out", held_out,
          "share of the training images that rates are chosen on, where the data have no "
          "validation part",
          {.min = 0.001, .max = 0.5});
  set.add(
      "student_labels", student_labels,
      "labels for protocols that train with a teacher: hard, live or a file of `retort relabel`; "
      "auto: live where a teacher is given, else hard");
  set.add("teacher", teacher, "file of the teacher for live labels");
  set.add("seed", seed, "seed of initial parameters, orders, augmentation and choices",
          {.min = 0, .max = kLargestSeed});
}

Json to_json(const Score& score) {
  Json figures = Json::array();
  for (const ScoreFigure& figure : score.figures) {
    const Interval found = interval_of(figure.accuracies);
    figures.push_back({{"subject", figure.subject},
                       {"labels", figure.labels},
                       {"augmented", figure.augmented},
                       {"rate", figure.rate},
                       {"rate_searched", figure.searched},
                       {"draws", figure.draws},
                       {"accuracies", figure.accuracies},
                       {"accuracy", to_json(found)}});
  }
  return {{"set", score.name},
          {"method", score.method},
          {"network", score.network},
          {"protocol", score.protocol},
          {"labels", score.labels},
          {"images", score.images},
          {"image_bytes", score.image_bytes},
          {"label_bytes", score.label_bytes},
          {"test_images", score.test_images},
          {"validation_images", score.validation_images},
          {"whole_set", score.whole},
          {"figures", figures},
          {"hard_label_recovery", to_json(score.hard_recovery)},
          {"improvement_over_random", to_json(score.improvement)},
          {"label_robust_score", to_json(score.label_robust)},
          {"augmentation_robust_score", to_json(score.augmentation_robust)},
          {"notes", score.notes}};
}

}  // namespace retort::eval
