// Students of the whole real data with hard labels: what a set is to recover, and who labels real
// images where a set has soft labels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/score.h"

namespace retort::eval {

struct WholeSet {
  std::vector<double> accuracies;  ///< of the test part
  train::ModelState first;         ///< the first student
};

/// SGD 0.01, momentum 0.9, decay 5e-4, the rate x0.1 after half, batches of 256, the data's usual
/// augmentation. Found in the run's folder where it was trained before. Nothing after a stop.
std::optional<WholeSet> train_whole(const ScoreRun& run, const synthetic::Bundle& bundle,
                                    const std::string& network);

}  // namespace retort::eval
