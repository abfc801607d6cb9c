// Which algorithm a 3x3 convolution is computed by: a table by shape alone, filled from
// benchmarks/winograd, so that bits depend neither on the batch nor on a measurement.
#pragma once

#include <algorithm>

#include "nets/winograd/winograd.h"

namespace retort::nets {

/// F(4x4) fills 36 products for 16 outputs, F(2x2) 16 for 4: the smaller tile takes fewer only
/// where a side is at most 2.
inline WinogradTile tile_of(int64_t height, int64_t width) {
  return std::min(height, width) <= 2 ? WinogradTile::k2 : WinogradTile::k4;
}

}  // namespace retort::nets
