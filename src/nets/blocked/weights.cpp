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

WinogradTerm term_of(const MoreProduct& more, size_t layer, bool turned) {
  if (!more.input) return {};
  return {more.input, more.weights->get(layer, turned)};
}

void convolve_later(const PassTools& tools, const WinogradShape& shape, const float* input,
                    const float* packed, float* output, const WinogradTerm& more) {
  float* scratch = tools.arena.scratch(winograd_scratch(shape, more.input ? 2 : 1));
  winograd_convolve(shape, input, packed, output, scratch, more);
}

}  // namespace

int64_t chunk_of(const BlockedLayer& layer, int64_t rows) {
  return std::clamp<int64_t>(kCachedFloats / layer.map_size(), 1, rows);
}

void convolve(const PassTools& tools, size_t layer, int64_t rows, const float* input,
              const PackedWeights& weights, float* map, const MoreProduct& more) {
  const BlockedLayer& l = tools.network.layers[layer];
  if (layer > 0)
    return convolve_later(tools, shape_of(l, rows), input, weights.get(layer, false), map,
                          term_of(more, layer, false));
  const FirstShape shape = first_of(l, rows);
  first_forward(shape, input, weights.get(layer, false), map,
                tools.arena.scratch(first_scratch(shape)));
}

void convolve_back(const PassTools& tools, size_t layer, int64_t rows, const float* dmap,
                   const PackedWeights& weights, float* dinput, const MoreProduct& more) {
  const BlockedLayer& l = tools.network.layers[layer];
  if (layer > 0)
    return convolve_later(tools, shape_of(l, rows, true), dmap, weights.get(layer, true), dinput,
                          term_of(more, layer, true));
  const FirstShape shape = first_of(l, rows);
  first_input(shape, dmap, weights.get(layer, true), dinput,
              tools.arena.scratch(first_scratch(shape)), term_of(more, layer, true));
}

void add_weight(const PassTools& tools, size_t layer, int64_t rows, const float* input,
                const float* dmap, float* dtheta, const WinogradTerm& more) {
  const BlockedLayer& l = tools.network.layers[layer];
  float* dweight = dtheta + l.weight;
  if (layer == 0) {
    const FirstShape shape = first_of(l, rows);
    return first_weight(shape, input, dmap, dweight, tools.arena.scratch(first_scratch(shape)));
  }
  const WinogradShape shape = shape_of(l, rows);
  winograd_weight(shape, input, dmap, dweight, tools.arena.scratch(winograd_weight_scratch(shape)),
                  more);
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
