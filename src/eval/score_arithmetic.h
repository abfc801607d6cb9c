// The arithmetic of DD-Ranking's scores (Li et al., 2024) on accuracies as fractions. No torch
// here.
#pragma once

namespace retort::eval {

/// (e^a - e^-1) / (e - e^-1): brings [-1, 1] to [0, 1], steeper where more is gained.
double normalised(double a);

/// What a run of students reached; fractions.
struct ScoreInput {
  double whole = 0;   ///< the whole real data, hard labels
  double hard = 0;    ///< the set, hard labels
  double own = 0;     ///< the set, its own recipe
  double random = 0;  ///< as many random real images, the same recipe
  /// The last two once more without augmentation.
  double own_plain = 0, random_plain = 0;
};

/// The scores of a run, and of their parts.
struct RunScores {
  double hard_recovery = 0;        ///< HLR = whole - hard; the lower the better
  double improvement = 0;          ///< IOR = own - random
  double label_robust = 0;         ///< LRS of w IOR - (1 - w) HLR
  double augmentation_robust = 0;  ///< ARS of g IOR + (1 - g) (own_plain - random_plain)
};
RunScores scores_of(const ScoreInput& input, double label_weight, double augmentation_weight);

}  // namespace retort::eval
