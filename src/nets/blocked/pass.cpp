#include "nets/blocked/pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"

namespace retort::nets {

PassValues take_values(const BlockedNetwork& network, int64_t rows, Follows follows, Arena& arena) {
  PassValues values;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const BlockedLayer& l = network.layers[i];
    const bool maps = i > 0 && follows != Follows::kNothing;
    const bool last = i + 1 == network.layers.size();
    PassValues::Layer layer{maps ? arena.take(rows * l.map_size()) : nullptr,
                            arena.take(rows * l.output_size()), arena.take(rows * l.out),
                            arena.take(rows * l.out), nullptr};
    // The way back alone puts a cotangent in its output's place, where no weight needs it any more.
    if (follows == Follows::kTangents || (last && follows == Follows::kBackward))
      layer.doutput = arena.take(rows * l.output_size());
    else
      layer.doutput = layer.output;
    values.layers.push_back(layer);
  }
  values.features = arena.take(rows * network.features);
  return values;
}

int64_t kept_floats(const BlockedNetwork& network) {
  int64_t sum = network.features - network.layers[0].map_size();
  for (const BlockedLayer& l : network.layers) sum += l.map_size() + 2 * (l.output_size() + l.out);
  return sum;
}

BlockedPass::BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows,
                         Follows follows, const PassValues& values)
    : tools_(tools), weights_(weights), rows_(rows), follows_(follows), values_(values) {
  int64_t largest = 0;
  for (size_t i = 0; i < tools.network.layers.size(); ++i) {
    const BlockedLayer& l = tools.network.layers[i];
    // Tangents need the maps: their cotangents have a place of their own.
    const bool whole = i > 0 && follows == Follows::kTangents;
    if (!values.layers[i].map) largest = std::max(largest, chunk(i) * l.map_size());
    if (whole) largest = std::max(largest, rows * l.map_size());
  }
  part_ = tools.arena.take(largest);
}

int64_t BlockedPass::chunk(size_t layer) const {
  return chunk_of(tools_.network.layers[layer], rows_);
}

const float* BlockedPass::forward(const float* images) {
  values_.images = images;
  for (size_t i = 0; i < values_.layers.size(); ++i)
    forward_layer(i, i > 0 ? values_.layers[i - 1].output : images);
  const BlockedLayer& last = tools_.network.layers.back();
  from_blocked(values_.layers.back().output, rows_, last.out, head_positions(last),
               values_.features);
  return values_.features;
}

void BlockedPass::forward_layer(size_t layer, const float* input) {
  const BlockedLayer& l = tools_.network.layers[layer];
  const PassValues::Layer& own = values_.layers[layer];
  const float* theta = weights_.theta();
  for (int64_t begin = 0; begin < rows_; begin += chunk(layer)) {
    const int64_t count = std::min(chunk(layer), rows_ - begin);
    float* map = own.map ? own.map + begin * l.map_size() : part_;
    convolve(tools_, layer, count, input + begin * l.input_size(), weights_, map);
    each_block(l, count, [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
      const int64_t norm = (begin + row) * l.out + channel;
      block_forward(map_of(l), map + at, {theta + l.gain + channel, theta + l.shift + channel},
                    own.output + begin * l.output_size() + to, {own.mean + norm, own.rstd + norm});
    });
  }
}

void BlockedPass::backward(const float* dfeatures, const PassCotangents& into) {
  const BlockedLayer& last = tools_.network.layers.back();
  to_blocked(dfeatures, rows_, last.out, head_positions(last), values_.layers.back().doutput);
  for (size_t i = values_.layers.size(); i-- > 1;) backward_layer(i, into);
  if (into.theta || into.images) backward_layer(0, into);
}

void BlockedPass::backward_layer(size_t layer, const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[layer];
  const PassValues::Layer& own = values_.layers[layer];
  const float* theta = weights_.theta();
  const float* input = layer > 0 ? values_.layers[layer - 1].output : values_.images;
  float* dinput = layer > 0 ? values_.layers[layer - 1].doutput : into.images;
  float* unwanted = into.theta ? nullptr : tools_.arena.take(2 * l.out);
  if (unwanted) std::fill_n(unwanted, 2 * l.out, 0.0f);
  float* dgain = into.theta ? into.theta + l.gain : unwanted;
  float* dshift = into.theta ? into.theta + l.shift : unwanted + l.out;
  if (layer == 0 && dinput) std::fill_n(dinput, rows_ * l.input_size(), 0.0f);
  const int64_t step = layer == 0 ? chunk(0) : rows_;
  for (int64_t begin = 0; begin < rows_; begin += step) {
    const int64_t count = std::min(step, rows_ - begin), from = begin * l.input_size();
    float* map = layer == 0 ? part_ : own.map;
    float* dmap = follows_ == Follows::kTangents ? part_ : map;
    if (layer == 0) convolve(tools_, 0, count, input + from, weights_, map);
    each_block(l, count, [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
      const int64_t norm = (begin + row) * l.out + channel;
      block_backward(map_of(l), map + at, own.doutput + begin * l.output_size() + to,
                     {theta + l.gain + channel, theta + l.shift + channel},
                     {own.mean + norm, own.rstd + norm}, {dgain + channel, dshift + channel},
                     dmap + at);
    });
    if (into.theta) add_weight(tools_, layer, count, input + from, dmap, into.theta);
    if (dinput) convolve_back(tools_, layer, count, dmap, weights_, dinput + from);
  }
}

}  // namespace retort::nets
