#include "nets/blocked/pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"

namespace retort::nets {

BlockedPass::BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows,
                         bool keep)
    : tools_(tools), weights_(weights), rows_(rows), keep_(keep) {
  float* shared = nullptr;
  if (!keep) {
    int64_t largest = 0;
    for (const BlockedLayer& layer : tools.network.layers)
      largest = std::max(largest, chunk_of(layer, rows) * layer.map_size());
    shared = tools.arena.take(largest);
  }
  for (const BlockedLayer& l : tools.network.layers)
    maps_.push_back({keep ? tools.arena.take(rows * l.map_size()) : shared,
                     tools.arena.take(rows * l.output_size()), tools.arena.take(rows * l.out),
                     tools.arena.take(rows * l.out)});
}

const float* BlockedPass::forward(const float* images) {
  images_ = images;
  const float* theta = weights_.theta();
  const float* input = images;
  for (size_t i = 0; i < maps_.size(); ++i) {
    const BlockedLayer& layer = tools_.network.layers[i];
    const Maps& maps = maps_[i];
    const int64_t chunk = chunk_of(layer, rows_);
    for (int64_t begin = 0; begin < rows_; begin += chunk) {
      const int64_t count = std::min(chunk, rows_ - begin);
      // Without a way back, all chunks use the same memory.
      float* map = keep_ ? maps.map : maps.map - begin * layer.map_size();
      convolve(tools_, i, count, input + begin * layer.input_size(), weights_,
               map + begin * layer.map_size());
      each_block(layer, begin, begin + count,
                 [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
                   const int64_t norm = row * layer.out + channel;
                   block_forward(map_of(layer), map + at,
                                 {theta + layer.gain + channel, theta + layer.shift + channel},
                                 maps.output + to, {maps.mean + norm, maps.rstd + norm});
                 });
    }
    input = maps.output;
  }
  const BlockedLayer& last = tools_.network.layers.back();
  float* features = tools_.arena.take(rows_ * tools_.network.features);
  from_blocked(input, rows_, last.out, head_positions(last), features);
  return features;
}

void BlockedPass::backward(const float* dfeatures, const PassCotangents& into) {
  const BlockedLayer& last = tools_.network.layers.back();
  float* doutput = tools_.arena.take(rows_ * tools_.network.features);
  to_blocked(dfeatures, rows_, last.out, head_positions(last), doutput);
  for (size_t i = maps_.size(); i-- > 0;) {
    // The cotangent of the input takes its place once the weight's is done.
    float* dinput = i > 0 ? maps_[i - 1].output : nullptr;
    backward_layer(i, i > 0 ? dinput : images_, doutput, dinput, into);
    doutput = dinput;
  }
}

void BlockedPass::backward_layer(size_t layer, const float* input, const float* doutput,
                                 float* dinput, const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[layer];
  const Maps& maps = maps_[layer];
  const float* theta = weights_.theta();
  float* unwanted = into.theta ? nullptr : tools_.arena.take(2 * l.out);
  if (unwanted) std::fill_n(unwanted, 2 * l.out, 0.0f);
  float* dgain = into.theta ? into.theta + l.gain : unwanted;
  float* dshift = into.theta ? into.theta + l.shift : unwanted + l.out;
  const int64_t chunk = layer == 0 ? chunk_of(l, rows_) : rows_;
  if (layer == 0) dinput = into.images;
  if (layer == 0 && dinput) std::fill_n(dinput, rows_ * l.input_size(), 0.0f);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    each_block(
        l, begin, begin + count, [&](int64_t row, int64_t channel, int64_t at, int64_t from) {
          const int64_t norm = row * l.out + channel;
          block_backward(map_of(l), maps.map + at, doutput + from,
                         {theta + l.gain + channel, theta + l.shift + channel},
                         {maps.mean + norm, maps.rstd + norm}, {dgain + channel, dshift + channel});
        });
    const float* dmap = maps.map + begin * l.map_size();
    if (into.theta)
      add_weight(tools_, layer, count, input + begin * l.input_size(), dmap, into.theta);
    if (dinput)
      convolve_back(tools_, layer, count, dmap, weights_, dinput + begin * l.input_size());
  }
}

}  // namespace retort::nets
