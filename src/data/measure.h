// What is computed from all pixels of a set: its hash, and mean and deviation.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "retort/data/raw.h"

namespace retort::data {

/// Images and labels of one part in memory of somebody else.
struct PartBytes {
  const uint8_t* pixels = nullptr;
  uint64_t bytes = 0;
  const int64_t* labels = nullptr;
  int64_t count = 0;
};

/// Sixteen digits of shape, class names and all parts; the first is the training part.
std::string hash_parts(int64_t channels, int64_t height, int64_t width,
                       const std::vector<std::string>& class_names,
                       const std::vector<PartBytes>& parts);

/// Mean and deviation (n) of each channel of uint8 images, exact sums in integers.
Normalisation measure(const at::Tensor& images);

}  // namespace retort::data
