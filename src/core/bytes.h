// Numbers in the bytes of files. No torch here.
#pragma once

#include <cstdint>
#include <string_view>

namespace retort {

/// The number that at most eight bytes spell, the most significant first.
constexpr uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

/// The number that at most eight bytes spell, the least significant first.
constexpr uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace retort
