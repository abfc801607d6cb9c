// Arrays of labels of any kind that names one class for each image. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/npy.h"

namespace retort::data {

/// Labels in order; `names` where they were texts, which `values` then count.
struct LabelArray {
  std::vector<int64_t> values;
  std::vector<std::string> names;
};

/// Whole numbers of any type, [N] or [N, 1]; one-hot rows [N, K]; texts [N]. `known` are the names
/// of the training part's texts. DataError, with the way out, for labels of several classes, shares
/// and fractions. `path` and `name` are for messages.
LabelArray read_labels(const std::string& bytes, const std::string& path, const std::string& name,
                       const std::vector<std::string>& known = {});

/// The values of an array of whole numbers of any type; shape [N] or [N, 1].
std::vector<int64_t> integers_of(const NpyArray& array, const std::string& name,
                                 const std::string& path);

}  // namespace retort::data
