// Experts of the toy data set, trained once for a test program.
#pragma once

#include "methods/toy.h"
#include "retort/trajectories/experts.h"
#include "support/device.h"
#include "support/support.h"

namespace retort::tests {

/// A folder with two experts of three epochs of a network on toy_dataset().
inline std::string toy_experts(const std::string& name = "convnet-w4-d2") {
  static const TempFolder folder;
  const std::filesystem::path path = folder / name;
  if (std::filesystem::exists(path)) return path.string();
  const data::Dataset data = toy_dataset();
  const auto network = nets::make_network(name, {3, 8, 8, 3});
  trajectories::ExpertOptions options;
  options.network = name;
  options.count = 2;
  options.epochs = 3;
  options.batch_size = 6;
  options.learning_rate = 0.05;
  OptionSet set;
  options.declare(set);
  trajectories::open_experts(path, set);
  trajectories::train_experts({data, *network, options, device(), {}}, path);
  return path.string();
}

}  // namespace retort::tests
