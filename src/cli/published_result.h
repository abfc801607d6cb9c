// What a recipe says beside the options of its run: the experts and teachers that it needs, how its
// students are trained, and what was published of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/core/options.h"

namespace retort::cli {

struct PublishedResult {
  int64_t experts_count = 0;  ///< 0: the method takes none
  int64_t experts_epochs = 50;
  double experts_learning_rate = 0.01;
  std::string experts_augmentation = "auto";
  bool experts_flat = false;
  double experts_gsam_alpha = 0.3;
  std::string label_teacher;      ///< network of the teacher of the labels, where it is another one
  int64_t evaluation_epochs = 0;  ///< of a student; 0: the protocol's
  double published_accuracy = 0;  ///< percent; 0: nothing is published
  double published_deviation = 0;
  bool deviation_known = false;  ///< a deviation is published, if only 0
  double published_random = 0;

  void declare(OptionSet& options);
};

/// The keys of recipes that are no options of `distill`.
std::vector<std::string> claim_keys();

}  // namespace retort::cli
