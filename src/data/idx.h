// The idx files of the MNIST family, plain or gzipped. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "retort/data/raw.h"

namespace retort::data {

/// An idx array of unsigned bytes; `data` points into the given bytes.
struct IdxArray {
  std::vector<int64_t> shape;
  std::string_view data;
};

/// Big-endian header, unsigned bytes, exactly `dimensions` sizes; `path` is only for messages.
IdxArray parse_idx(std::string_view bytes, const std::string& path, size_t dimensions);

/// The classes of a label file: unsigned bytes [N], or QMNIST's integers [N, 8] whose first column
/// they are.
std::vector<int64_t> parse_idx_labels(std::string_view bytes, const std::string& path);

Reader idx_reader();

}  // namespace retort::data
