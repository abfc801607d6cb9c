// No torch here.
#include "eval/score_arithmetic.h"

#include <cmath>

namespace retort::eval {
double normalised(double a) {
  return (std::exp(a) - std::exp(-1.0)) / (std::exp(1.0) - std::exp(-1.0));
}

RunScores scores_of(const ScoreInput& input, double label_weight, double augmentation_weight) {
  RunScores scores;
  scores.hard_recovery = input.whole - input.hard;
  scores.improvement = input.own - input.random;
  const double plain = input.own_plain - input.random_plain;
  scores.label_robust =
      normalised(label_weight * scores.improvement - (1 - label_weight) * scores.hard_recovery);
  scores.augmentation_robust =
      normalised(augmentation_weight * scores.improvement + (1 - augmentation_weight) * plain);
  return scores;
}

}  // namespace retort::eval
