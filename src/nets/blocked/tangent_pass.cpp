#include "nets/blocked/tangent_pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"

namespace retort::nets {

TangentPass::TangentPass(const PassTools& tools, const PackedWeights& weights,
                         const PackedWeights& tangent, int64_t rows, const PassValues& values)
    : tools_(tools), weights_(weights), tangent_(tangent), rows_(rows), values_(values) {
  Arena& arena = tools.arena;
  const BlockedLayer& first = tools.network.layers[0];
  const int64_t part = chunk_of(first, rows) * first.map_size();
  int64_t largest = part;
  for (const BlockedLayer& l : tools.network.layers) {
    const int64_t map = maps_.empty() ? part : rows * l.map_size();
    maps_.push_back({arena.take(map), arena.take(rows * l.output_size()), arena.take(rows * l.out),
                     arena.take(rows * l.out)});
    largest = std::max(largest, map);
  }
  first_ = arena.take(part);
  dmap_ = arena.take(largest);
}

BlockAffine TangentPass::affine(const BlockedLayer& layer, int64_t channel) const {
  const float *theta = weights_.theta(), *tangent = tangent_.theta();
  return {theta + layer.gain + channel, theta + layer.shift + channel,
          tangent + layer.gain + channel, tangent + layer.shift + channel};
}

BlockMoments TangentPass::moments(size_t layer, int64_t row, int64_t channel) const {
  const int64_t at = row * tools_.network.layers[layer].out + channel;
  const PassValues::Layer& own = values_.layers[layer];
  return {own.mean + at, own.rstd + at, maps_[layer].mean + at, maps_[layer].covariance + at};
}

/// A chunk of the first layer's map and of its derivative.
void TangentPass::first_maps(int64_t begin, int64_t count) {
  const float* images = values_.images + begin * tools_.network.layers[0].input_size();
  convolve(tools_, 0, count, images, weights_, first_);
  convolve(tools_, 0, count, images, tangent_, maps_[0].map);
}

void TangentPass::forward_tails(size_t layer, int64_t begin, int64_t count, const float* map) {
  const BlockedLayer& l = tools_.network.layers[layer];
  float* output = maps_[layer].output + begin * l.output_size();
  each_block(l, count, [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
    block_forward_tangent(map_of(l), {map + at, maps_[layer].map + at}, affine(l, channel),
                          output + to, moments(layer, begin + row, channel));
  });
}

const float* TangentPass::forward() {
  const auto& layers = tools_.network.layers;
  const int64_t chunk = chunk_of(layers[0], rows_);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    first_maps(begin, count);
    forward_tails(0, begin, count, first_);
  }
  for (size_t i = 1; i < layers.size(); ++i) {
    convolve(tools_, i, rows_, maps_[i - 1].output, weights_, maps_[i].map,
             {values_.layers[i - 1].output, &tangent_});
    forward_tails(i, 0, rows_, values_.layers[i].map);
  }
  float* features = tools_.arena.take(rows_ * tools_.network.features);
  from_blocked(maps_.back().output, rows_, layers.back().out, head_positions(layers.back()),
               features);
  return features;
}

/// Leaves the cotangents' derivatives in the place of the maps' and the cotangents in dmap_. The
/// derivatives of the outputs' cotangents are where the outputs' were.
void TangentPass::backward_tails(size_t layer, int64_t begin, int64_t count, const float* map,
                                 const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[layer];
  float* unwanted = into.theta ? nullptr : tools_.arena.take(2 * l.out);
  if (unwanted) std::fill_n(unwanted, 2 * l.out, 0.0f);
  float* dgain = into.theta ? into.theta + l.gain : unwanted;
  float* dshift = into.theta ? into.theta + l.shift : unwanted + l.out;
  const int64_t from = begin * l.output_size();
  const BlockDual doutput{values_.layers[layer].doutput + from, maps_[layer].output + from};
  each_block(l, count, [&](int64_t row, int64_t channel, int64_t at, int64_t out) {
    float* tangent = maps_[layer].map + at;
    block_backward_tangent(map_of(l), {map + at, tangent}, doutput.at(out), affine(l, channel),
                           moments(layer, begin + row, channel),
                           {dgain + channel, dshift + channel}, {dmap_ + at, tangent});
  });
}

void TangentPass::backward(const float* dfeatures, const PassCotangents& into) {
  const BlockedLayer& last = tools_.network.layers.back();
  to_blocked(dfeatures, rows_, last.out, head_positions(last), maps_.back().output);
  for (size_t i = values_.layers.size(); i-- > 1;) {
    const PassValues::Layer& below = values_.layers[i - 1];
    float* input = maps_[i - 1].output;
    backward_tails(i, 0, rows_, values_.layers[i].map, into);
    // dw. = x dz. + x. dz, then dx. = w^T dz. + w.^T dz in the place of x.
    if (into.theta)
      add_weight(tools_, i, rows_, below.output, maps_[i].map, into.theta, {input, dmap_});
    convolve_back(tools_, i, rows_, maps_[i].map, weights_, input, {dmap_, &tangent_});
  }
  if (into.theta || into.images) first_layer_back(into);
}

void TangentPass::first_layer_back(const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[0];
  const int64_t chunk = chunk_of(l, rows_);
  if (into.images) std::fill_n(into.images, rows_ * l.input_size(), 0.0f);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin), from = begin * l.input_size();
    first_maps(begin, count);
    backward_tails(0, begin, count, first_, into);
    if (into.theta) add_weight(tools_, 0, count, values_.images + from, maps_[0].map, into.theta);
    if (into.images)
      convolve_back(tools_, 0, count, maps_[0].map, weights_, into.images + from,
                    {dmap_, &tangent_});
  }
}

}  // namespace retort::nets
