// NumPy's .npy arrays. The header is untrusted. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "retort/core/safetensors.h"

namespace retort {

/// An array read from .npy bytes; C order. `data` points into the given bytes, except where the
/// file is in Fortran order, when `owned` holds the reordered copy.
struct NpyArray {
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
  std::string_view data;
  std::string owned;
};

/// Versions 1 to 3, little-endian numbers and bool; else DataError naming `path`.
NpyArray parse_npy(std::string_view bytes, const std::string& path);
/// The bytes of a version 1.0 .npy file of a C-order array.
std::string npy_bytes(DType dtype, const std::vector<int64_t>& shape, std::string_view data);

}  // namespace retort
