// What a training costs, from a few of its steps.
#pragma once

#include <vector>

#include "retort/data/dataset.h"
#include "retort/train/trainer.h"

namespace retort::eval {

/// Seconds, with as many students side by side as are measured.
struct TrainingCost {
  double step = 0;  ///< of each of the students
  double test = 0;  ///< of an image that is tested
};

/// Trains the students for some steps and throws them away. `part` is not empty.
TrainingCost measure_training(const nets::Network& network,
                              const std::vector<train::Student>& students,
                              const train::TrainOptions& options, const data::Split& part,
                              const data::Preprocessing& preprocessing, at::Device device);

}  // namespace retort::eval
