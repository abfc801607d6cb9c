// Where NCFM's frequency arguments come from (Wang et al., CVPR 2025, section 4.2.2): a scale
// mixture of normals, whose scales a small network makes of white noise. The network is a function
// of one vector, psi.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "retort/core/random.h"

namespace retort::methods {

/// Frequency arguments with the way back to what made them.
struct SampledFrequencies {
  at::Tensor arguments;  ///< [M, F], no two rows alike
  /// Cotangents of the arguments to those of psi; valid once.
  std::function<at::Tensor(const at::Tensor&)> pullback;
};

/// Three square layers, each with BatchNorm over the components; leaky ReLU (0.2) after the first
/// two, tanh after the last: the scales of a component, [F], within -1 and 1. Sixteen arguments
/// share a component, and each is its scales times normals of its own.
class FrequencySampler {
 public:
  /// Arguments of `features` numbers; `count` of them, at least 32: BatchNorm needs two components.
  FrequencySampler(int64_t features, int64_t count);

  int64_t size() const { return 3 * layer_size(); }  ///< numbers in psi
  /// PyTorch's initialisation, float32 on the CPU.
  at::Tensor initial(RandomStream stream) const;

  /// What a sample is made of.
  struct Draws {
    at::Tensor noise;    ///< [components, F]
    at::Tensor normals;  ///< [M, F]
  };
  /// float32 on the CPU.
  Draws draw(RandomStream stream) const;
  /// psi [size()] and the draws are of one type and device.
  SampledFrequencies sample(const at::Tensor& psi, const Draws& draws) const;

 private:
  int64_t layer_size() const { return features_ * (features_ + 3); }
  /// [components, F]
  at::Tensor scales(const at::Tensor& psi, const at::Tensor& noise) const;

  const int64_t features_, count_;
};

}  // namespace retort::methods
