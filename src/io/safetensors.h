// The safetensors file: 8 bytes of little-endian header length, a JSON header, raw tensors. The
// header is untrusted: every offset, shape and type is checked before use. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"

namespace retort {

/// Element types; sizes in bytes by dtype_size.
enum class DType { kBool, kU8, kI8, kI16, kI32, kI64, kF16, kBF16, kF32, kF64 };
size_t dtype_size(DType dtype);
std::string_view dtype_name(DType dtype);  ///< as in the file: "F32"

/// A tensor inside mapped or owned memory; does not own it.
struct RawTensor {
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Parsed header of a safetensors file whose bytes live elsewhere.
struct SafetensorsView {
  std::map<std::string, RawTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses and checks; `path` is only for messages. Throws DataError.
SafetensorsView parse_safetensors(std::span<const std::byte> bytes, const std::string& path);

/// The bytes of a file before its data: tensors in name order, padded to 8 bytes. Of each tensor
/// only type and shape count.
std::string safetensors_header(const std::map<std::string, RawTensor>& tensors,
                               const std::map<std::string, std::string>& metadata);

/// Writes atomically, tensors in name order, header padded to 8 bytes: same content, same bytes.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, RawTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace retort
