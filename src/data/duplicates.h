// What makes test results doubtful: classes without test images, images that stand in a set more
// than once. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::data {

/// Images of one part in memory of somebody else.
struct ImageRows {
  const uint8_t* pixels = nullptr;
  const int64_t* labels = nullptr;
  int64_t count = 0;
};

/// A sentence where classes have no test image, where test images are training images as well, and
/// where training images stand under two labels; equal means the same `image_bytes` bytes.
std::vector<std::string> doubtful_notes(const ImageRows& train, const ImageRows& test,
                                        int64_t image_bytes,
                                        const std::vector<std::string>& class_names);

}  // namespace retort::data
