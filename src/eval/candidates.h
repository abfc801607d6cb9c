// What searches for a learning rate have in common: the rates, and the name of what was trained on.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace retort::eval {

/// A rate as it is written among --rates. ConfigError where it is no number above 0.
double learning_rate_of(const std::string& text);

/// A hash of the values of tensors, undefined ones left out.
std::string hash_of(const std::vector<at::Tensor>& tensors);

}  // namespace retort::eval
