// The size of NumPy's arrays before they are read. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

/// The bytes of a whole .npy file by its header, which must lie in `start`; 0 where elements have
/// no size of their own.
uint64_t npy_size(std::string_view start, const std::string& path);

}  // namespace retort
