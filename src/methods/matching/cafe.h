// CAFE's parts: which layers are compared, how far real features are told apart by the synthetic
// centres, and when the dynamic schedule goes on (Wang et al., CVPR 2022, section 3).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "retort/nets/network.h"

namespace retort::methods {

/// The taps that are compared: what enters every convolution after the first, then the features.
std::vector<std::string> compared_layers(const nets::Network& network);

/// The discrimination loss of real features and its derivative by the centres.
struct Discrimination {
  at::Tensor value;    ///< scalar, a sum over rows
  at::Tensor centres;  ///< [K, F]
};
/// The cross-entropy of `features` [R, F] of class `label`, whose logits are their products with
/// the synthetic class means, `centres` [K, F].
Discrimination discrimination(const at::Tensor& features, const at::Tensor& centres, int64_t label);

/// The spread of the last values, once there are `length` of them.
class Watcher {
 public:
  explicit Watcher(int64_t length) : length_(length) {}
  void see(double value);
  bool full() const { return std::ssize(values_) == length_; }
  /// The largest minus the smallest of the last `length` values.
  double spread() const;

 private:
  int64_t length_;
  std::deque<double> values_;
};

}  // namespace retort::methods
