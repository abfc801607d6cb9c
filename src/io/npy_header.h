// The header of NumPy's arrays. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

/// What the header of an array says, and the bytes behind it.
struct NpyHeader {
  std::string type;  ///< "<f4"
  bool fortran = false;
  std::vector<int64_t> shape;
  std::string_view data;
};

/// The header of .npy bytes; DataError naming `path` where it is damaged or of an unknown version.
NpyHeader read_npy_header(std::string_view bytes, const std::string& path);

/// The number of elements of `width` bytes; DataError where the data are more or fewer.
int64_t check_npy_size(const NpyHeader& header, int64_t width, const std::string& path);

/// A version 1.0 header of an array in C order, padded to a multiple of 64 bytes.
std::string npy_header_bytes(const std::string& type, const std::vector<int64_t>& shape);

}  // namespace retort
