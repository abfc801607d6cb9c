// The networks that an architecture search tries.
#pragma once

#include <string>
#include <vector>

#include "retort/core/options.h"

namespace retort::eval {

/// A grid of ConvNets; the default is that of Zhao et al. (2021): 4 x 4 x 3 x 5 x 3 = 720.
struct SearchSpace {
  std::vector<std::string> depths = {"1", "2", "3", "4"};
  std::vector<std::string> widths = {"32", "64", "128", "256"};
  std::vector<std::string> activations = {"sigmoid", "relu", "leaky"};
  std::vector<std::string> norms = {"nonorm", "bn", "ln", "in", "gn"};
  std::vector<std::string> poolings = {"nopool", "maxpool", "avgpool"};
  std::string networks;  ///< a file of names, one a line, in place of the grid

  void declare(OptionSet& set);
  /// The names, each once, in order. ConfigError where there are none; DataError where the file
  /// cannot be read.
  std::vector<std::string> names() const;
};

}  // namespace retort::eval
