// NumPy's .npy arrays. The header is untrusted. No torch here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace retort {

/// An array read from .npy bytes; C order. `data` points into the given bytes (at any alignment),
/// except where they had to be reordered, swapped or widened, when `owned` holds them.
struct NpyArray {
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
  std::string_view data;
  std::shared_ptr<const std::string> owned;
};

/// Versions 1 to 3, numbers of either byte order and bool; else DataError naming `path`. uint16
/// becomes int32, uint32 and uint64 become int64.
NpyArray parse_npy(std::string_view bytes, const std::string& path);
/// The bytes of a version 1.0 .npy file of a C-order array.
std::string npy_bytes(DType dtype, const std::vector<int64_t>& shape, std::string_view data);

/// Whether the array is of text.
bool npy_is_text(std::string_view bytes, const std::string& path);
/// A one-dimensional array of text, or a column of it (U or S), as UTF-8, and back ('<U').
std::vector<std::string> parse_npy_strings(std::string_view bytes, const std::string& path);
std::string npy_strings(const std::vector<std::string>& texts);

}  // namespace retort
