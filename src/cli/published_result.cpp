#include "cli/published_result.h"

namespace retort::cli {

void PublishedResult::declare(OptionSet& options) {
  options.add("experts_count", experts_count, "experts to match", {.min = 0, .max = 1e5});
  options.add("experts_epochs", experts_epochs, "epochs of an expert", {.min = 1, .max = 1e5});
  options.add("experts_learning_rate", experts_learning_rate, "learning rate of an expert",
              {.min = 0});
  options.add("experts_augmentation", experts_augmentation,
              "augmentation of an expert's training; auto: the data set's published one");
  options.add("experts_flat", experts_flat, "experts by FTD's flat update");
  options.add("experts_gsam_alpha", experts_gsam_alpha, "weight of the flat update's second aim",
              {.min = 0, .max = 1e6});
  options.add("label_teacher", label_teacher,
              "network of the teacher of the students' labels, where it is not the one that images "
              "are recovered from");
  options.add("evaluation_epochs", evaluation_epochs, "epochs of a student; 0: the protocol's",
              {.min = 0, .max = 1e6});
  options.add("published_accuracy", published_accuracy, "percent, on the test part",
              {.min = 0, .max = 100});
  options.add("published_deviation", published_deviation, "of the published accuracy",
              {.min = 0, .max = 100});
  options.add("published_random", published_random, "percent, for random real images",
              {.min = 0, .max = 100});
}

std::vector<std::string> claim_keys() {
  PublishedResult claim;
  OptionSet options;
  claim.declare(options);
  return options.names();
}

}  // namespace retort::cli
