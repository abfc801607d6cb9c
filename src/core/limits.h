// The largest numbers that options take. A declaration that leaves a side open gets these.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

namespace retort {

/// Of whole numbers: a product of two fits 64 bits.
inline constexpr double kLargestWhole = 2147483647;
/// Of real numbers: float32 holds it, and its product with a factor of 1e8.
inline constexpr double kLargestReal = 1e30;
/// Of seeds, which are only ever mixed, never counted with.
inline constexpr double kLargestSeed = 1e18;

/// A product of rates as float32 has it: infinite beyond its range, where libtorch would refuse to
/// convert it. What it is multiplied into becomes infinite too, which is looked for.
inline double as_float32(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return std::abs(value) > kMost ? std::copysign(std::numeric_limits<double>::infinity(), value)
                                 : value;
}

/// What yes, true, on, 1 or no, false, off, 0 say; nothing for any other word.
std::optional<bool> yes_or_no(std::string_view word);

}  // namespace retort
