// What makes a bundle valid; asked before it is written and after it is read.
#pragma once

#include <string>

#include "retort/synthetic/bundle.h"

namespace retort::synthetic {

/// The first thing wrong with a bundle, as "images hold a number that is not finite"; empty if
/// none.
std::string bundle_problem(const Bundle& bundle);

/// Whether every row [M, K] is a distribution, to rounding.
bool are_distributions(const at::Tensor& rows);
/// "rows hold -9.59 to 15.59 and sum to -9.04 to 12.39"
std::string spread_of(const at::Tensor& rows);

/// Preprocessing from stored values. An empty `problem` stays so where they are usable.
struct StoredPreprocessing {
  std::string kind;  ///< "none", "mean_std", "zca"
  std::vector<double> mean, deviation;
  TensorMap tensors;  ///< zca_mean [D], zca_matrix and zca_inverse [D, D]
};
data::Preprocessing restore(const StoredPreprocessing& stored, std::string& problem);
StoredPreprocessing stored_form(const data::Preprocessing& preprocessing);

}  // namespace retort::synthetic
