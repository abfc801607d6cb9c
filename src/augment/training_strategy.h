// How the batches of a training are augmented: each image by siamese augmentation, and some batches
// by CutMix after it.
#pragma once

#include <string>

#include "augment/siamese.h"

namespace retort::augment {

struct TrainingStrategy {
  Strategy siamese;
  double cutmix = 0;  ///< the share of batches that are mixed
};

/// As parse_strategy(); with "+cutmix" at the end, half of the batches are mixed (shares uniform).
TrainingStrategy parse_training_strategy(const std::string& text);

}  // namespace retort::augment
