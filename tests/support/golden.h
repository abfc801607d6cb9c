// Golden numbers: answers of the authors' own functions to small stored tensors, made once with
// PyTorch; "how" in each file of tests/golden says with what.
#pragma once

#include <torch/types.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace retort::tests {

inline nlohmann::json golden(const std::string& name) {
  return nlohmann::json::parse(
      std::ifstream(std::string(RETORT_SOURCE_DIR) + "/tests/golden/" + name + ".json"));
}

/// float64 of these sizes.
inline at::Tensor golden_tensor(const nlohmann::json& numbers, at::IntArrayRef sizes) {
  return at::tensor(numbers.get<std::vector<double>>(), at::kDouble).view(sizes);
}

}  // namespace retort::tests
