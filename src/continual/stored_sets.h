// The stored sets of the tasks so far, as one training set.
#pragma once

#include <vector>

#include "continual/continual.h"

namespace retort::continual {

/// Decoded images of all stored sets, with labels of the whole data set.
struct Recalled {
  at::Tensor images;        ///< [M, C, H, W]
  at::Tensor targets;       ///< int64 [M], or float [M, K] where any set has soft labels
  at::Tensor tasks;         ///< int64 [M], CPU
  double learned_rate = 0;  ///< mean of the sets' own student rates; 0: none has one
};

/// Grows by a task's set at a time; its labels become those of the whole data set.
class StoredSets {
 public:
  StoredSets(int64_t classes, at::Device device) : classes_(classes), device_(device) {}
  void add(const synthetic::Bundle& bundle, const Task& task);
  /// Bytes kept of tasks 0..task.
  int64_t stored_bytes(int64_t task) const;
  Recalled recall() const;

 private:
  int64_t classes_;
  at::Device device_;
  std::vector<at::Tensor> images_, labels_, soft_;  // one a task; soft_ undefined for hard labels
  std::vector<double> rates_;
  std::vector<int64_t> bytes_;
};

}  // namespace retort::continual
