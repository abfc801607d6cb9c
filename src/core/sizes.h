// From signed sizes, as tensors and loops have them, to the unsigned ones of the standard library,
// and back. The size of a container is std::ssize. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace retort {

/// A size or place that is not negative; std::out_of_range where it is.
constexpr size_t to_size(int64_t value) {
  if (value < 0) throw std::out_of_range("a negative size");
  return static_cast<size_t>(value);
}

/// A size or place as a signed number; std::out_of_range where it has more than 63 bits.
constexpr int64_t to_int64(size_t value) {
  const auto size = static_cast<int64_t>(value);
  if (size < 0) throw std::out_of_range("a size beyond 63 bits");
  return size;
}

}  // namespace retort
