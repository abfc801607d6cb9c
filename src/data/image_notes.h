// What is said of the image files of a set. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/data/image_file.h"

namespace retort::data {

/// Counts of files that were not simply read.
struct ImageFindings {
  int64_t turned = 0, cmyk = 0, deep = 0, more_frames = 0;
  int64_t largest = 0;  ///< of all 16-bit samples
  void add(const ImageFacts& facts);
  /// One sentence for each kind that was met; `upright`: the turned ones were put upright.
  std::vector<std::string> notes(bool upright) const;
};

}  // namespace retort::data
