#include "nets/blocked/weights.h"

#include <algorithm>
#include <stdexcept>

#include "nets/winograd/shape_table.h"

namespace retort::nets {
namespace {

constexpr int64_t kCachedFloats =
    128 * 1024;  // of the first, largest map: its tail follows at once

FirstShape first_of(const BlockedLayer& l, int64_t rows) {
  return {rows, l.in, l.out, l.height, l.width, l.padding};
}

/// The shape of a later layer's product; of the way back where `turned`.
WinogradShape shape_of(const BlockedLayer& l, int64_t rows, bool turned = false) {
  return {rows,    turned ? l.out : l.in,     turned ? l.in : l.out, l.height,
          l.width, tile_of(l.height, l.width)};
}

}  // namespace

int64_t chunk_of(const BlockedLayer& layer, int64_t rows) {
  return std::clamp<int64_t>(kCachedFloats / layer.map_size(), 1, rows);
}

void convolve(const PassTools& tools, size_t layer, int64_t rows, const float* input,
              const PackedWeights& weights, float* map) {
  const BlockedLayer& l = tools.network.layers[layer];
  const float* packed = weights.get(layer, false);
  if (layer == 0) {
    const FirstShape shape = first_of(l, rows);
    return first_forward(shape, input, packed, map, tools.arena.scratch(first_scratch(shape)));
  }
  const WinogradShape shape = shape_of(l, rows);
  winograd_convolve(shape, input, packed, map, tools.arena.scratch(winograd_scratch(shape)));
}

void convolve_back(const PassTools& tools, size_t layer, int64_t rows, const float* dmap,
                   const PackedWeights& weights, float* dinput) {
  const BlockedLayer& l = tools.network.layers[layer];
  const float* packed = weights.get(layer, true);
  if (layer == 0) {
    const FirstShape shape = first_of(l, rows);
    return first_input(shape, dmap, packed, dinput, tools.arena.scratch(first_scratch(shape)));
  }
  const WinogradShape shape = shape_of(l, rows, true);
  winograd_convolve(shape, dmap, packed, dinput, tools.arena.scratch(winograd_scratch(shape)));
}

void add_weight(const PassTools& tools, size_t layer, int64_t rows, const float* input,
                const float* dmap, float* dtheta) {
  const BlockedLayer& l = tools.network.layers[layer];
  float* dweight = dtheta + l.weight;
  if (layer == 0) {
    const FirstShape shape = first_of(l, rows);
    return first_weight(shape, input, dmap, dweight, tools.arena.scratch(first_scratch(shape)));
  }
  const WinogradShape shape = shape_of(l, rows);
  winograd_weight(shape, input, dmap, dweight, tools.arena.scratch(winograd_weight_scratch(shape)));
}

PackedWeights::PackedWeights(const BlockedNetwork& network, const float* theta)
    : network_(network), theta_(theta), packed_(network.layers.size()) {}

void PackedWeights::prepare(size_t layer, bool turned, Arena& arena) {
  float*& packed = packed_[layer][turned ? 1 : 0];
  if (packed) return;
  const BlockedLayer& l = network_.layers[layer];
  packed = arena.take(layer == 0 ? first_weights(first_of(l, 1), turned)
                                 : winograd_weights(shape_of(l, 1, turned)));
  planned_.push_back({layer, turned});
}

void PackedWeights::pack(size_t index) const {
  const auto [layer, turned] = planned_[index];
  const BlockedLayer& l = network_.layers[layer];
  float* packed = packed_[layer][turned ? 1 : 0];
  if (layer == 0)
    first_pack(first_of(l, 1), theta_ + l.weight, turned, packed);
  else
    winograd_pack(shape_of(l, 1, turned), theta_ + l.weight, turned, packed);
}

const float* PackedWeights::get(size_t layer, bool turned) const {
  const float* packed = packed_[layer][turned ? 1 : 0];
  if (!packed) throw std::logic_error("a weight was not packed");
  return packed;
}

void prepare(const PassTools& tools, WithRespectTo wrt, PackedWeights& weights) {
  for (size_t i = 0; i < tools.network.layers.size(); ++i) {
    weights.prepare(i, false, tools.arena);
    if (i == 0 ? wrt.images : wrt.any()) weights.prepare(i, true, tools.arena);
  }
}

}  // namespace retort::nets
