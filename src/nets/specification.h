// What the specification of a network says, without making it.
#pragma once

#include <cstdint>
#include <string>

namespace retort::nets {

constexpr int64_t kConvnetDepth = 3;  ///< of a "convnet" that does not say it

/// "convnet" of "convnet-d3-bn".
std::string family_of(const std::string& specification);
/// True for a "convnet" of that many blocks. A text that names no network is none.
bool is_convnet_of_depth(const std::string& specification, int64_t depth);

}  // namespace retort::nets
