// Maps between plain and blocked layouts.
#pragma once

#include <cstdint>

#include "nets/blocked/kernels.h"
#include "nets/blocked/weights.h"

namespace retort::nets {

/// [rows, C / block, positions, block] to [rows, C, positions], and back.
void from_blocked(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to);

void to_blocked(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to);

inline BlockMap map_of(const BlockedLayer& layer) {
  return {layer.map_height, layer.map_width, channel_block()};
}

/// Calls visit(row, channel, offset in maps, offset in outputs) for every block of `rows` images.
template <class Visit>
void each_block(const BlockedLayer& layer, int64_t rows, const Visit& visit) {
  const int64_t block = channel_block(), positions = layer.map_height * layer.map_width;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t channel = 0; channel < layer.out; channel += block) {
      const int64_t offset = row * layer.map_size() + channel * positions;
      visit(row, channel, offset, offset / 4);
    }
}

/// Positions of a channel among the features.
inline int64_t head_positions(const BlockedLayer& last) {
  return last.map_height * last.map_width / 4;
}

}  // namespace retort::nets
