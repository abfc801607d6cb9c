// The largest numbers that options take. A declaration that leaves a side open gets these.
#pragma once

#include <optional>
#include <string_view>

namespace retort {

/// Of whole numbers: a product of two fits 64 bits.
inline constexpr double kLargestWhole = 2147483647;
/// Of real numbers: float32 holds it, and its product with a factor of 1e8.
inline constexpr double kLargestReal = 1e30;
/// Of seeds, which are only ever mixed, never counted with.
inline constexpr double kLargestSeed = 1e18;

/// What yes, true, on, 1 or no, false, off, 0 say; nothing for any other word.
std::optional<bool> yes_or_no(std::string_view word);

}  // namespace retort
