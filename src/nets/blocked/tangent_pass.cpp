#include "nets/blocked/tangent_pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"

namespace retort::nets {

TangentPass::TangentPass(const PassTools& tools, const PackedWeights& weights,
                         const PackedWeights& tangent, int64_t rows)
    : tools_(tools), weights_(weights), tangent_(tangent), rows_(rows) {
  Arena& arena = tools.arena;
  bool first = true;
  for (const BlockedLayer& l : tools.network.layers) {
    maps_.push_back({arena.take(2 * rows * l.map_size()), arena.take(2 * rows * l.output_size()),
                     first ? nullptr : arena.take(rows * l.map_size()), arena.take(rows * l.out),
                     arena.take(rows * l.out), arena.take(rows * l.out), arena.take(rows * l.out)});
    first = false;
  }
}

BlockAffine TangentPass::affine(const BlockedLayer& layer, int64_t channel) const {
  const float *theta = weights_.theta(), *tangent = tangent_.theta();
  return {theta + layer.gain + channel, theta + layer.shift + channel,
          tangent + layer.gain + channel, tangent + layer.shift + channel};
}

BlockMoments TangentPass::moments(const Maps& maps, const BlockedLayer& layer, int64_t row,
                                  int64_t channel) const {
  const int64_t at = row * layer.out + channel;
  return {maps.mean + at, maps.rstd + at, maps.mean_tangent + at, maps.covariance + at};
}

void TangentPass::forward_tails(const BlockedLayer& layer, const Maps& maps, int64_t begin,
                                int64_t end) {
  const BlockDual map{maps.map, maps.map + rows_ * layer.map_size(), maps.second};
  const BlockDual output{maps.output, maps.output + rows_ * layer.output_size()};
  each_block(layer, begin, end, [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
    block_forward_tangent(map_of(layer), map.at(at), affine(layer, channel), output.at(to),
                          moments(maps, layer, row, channel));
  });
}

const float* TangentPass::forward(const float* images) {
  images_ = images;
  const auto& layers = tools_.network.layers;
  const BlockedLayer& first = layers[0];
  const int64_t chunk = chunk_of(first, rows_);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    const float* input = images + begin * first.input_size();
    float* map = maps_[0].map + begin * first.map_size();
    convolve(tools_, 0, count, input, weights_, map);
    convolve(tools_, 0, count, input, tangent_, map + rows_ * first.map_size());
    forward_tails(first, maps_[0], begin, begin + count);
  }
  for (size_t i = 1; i < layers.size(); ++i) {
    // w * [x, x.] in one, and w. * x beside it: the norm adds the two parts of the tangent.
    const float* input = maps_[i - 1].output;
    convolve(tools_, i, 2 * rows_, input, weights_, maps_[i].map);
    convolve(tools_, i, rows_, input, tangent_, maps_[i].second);
    forward_tails(layers[i], maps_[i], 0, rows_);
  }
  const BlockedLayer& last = layers.back();
  float* features = tools_.arena.take(2 * rows_ * tools_.network.features);
  from_blocked(maps_.back().output, 2 * rows_, last.out, head_positions(last), features);
  return features;
}

void TangentPass::backward_tails(const BlockedLayer& layer, const Maps& maps,
                                 const BlockDual& doutput, int64_t begin, int64_t end,
                                 float* dtheta) {
  const BlockDual map{maps.map, maps.map + rows_ * layer.map_size()};
  each_block(layer, begin, end, [&](int64_t row, int64_t channel, int64_t at, int64_t from) {
    block_backward_tangent(map_of(layer), map.at(at), doutput.at(from), affine(layer, channel),
                           moments(maps, layer, row, channel),
                           {dtheta + layer.gain + channel, dtheta + layer.shift + channel});
  });
}

void TangentPass::backward(const float* dfeatures, const PassCotangents& into) {
  const auto& layers = tools_.network.layers;
  const int64_t positions = head_positions(layers.back()), features = tools_.network.features;
  float* first = tools_.arena.take(2 * rows_ * features);
  BlockDual doutput{first + rows_ * features, first};
  // From here on the derivatives stand first: they meet the values in the weight's correlation.
  to_blocked(dfeatures + rows_ * features, rows_, layers.back().out, positions, doutput.tangent);
  to_blocked(dfeatures, rows_, layers.back().out, positions, doutput.value);
  for (size_t i = layers.size(); i-- > 1;) {
    const BlockedLayer& l = layers[i];
    Maps& maps = maps_[i];
    backward_tails(l, maps, doutput, 0, rows_, into.theta);
    float* input = maps_[i - 1].output;
    add_weight(tools_, i, 2 * rows_, input, maps.map, into.theta);
    // dx. = w^T dz. + w.^T dz: the second part goes where the tangent's was.
    convolve_back(tools_, i, 2 * rows_, maps.map, weights_, input);
    float* part = tools_.arena.take(rows_ * l.input_size());
    convolve_back(tools_, i, rows_, maps.map + rows_ * l.map_size(), tangent_, part);
    doutput = {input + rows_ * l.input_size(), input, part};
  }
  first_layer_back(doutput, into);
}

void TangentPass::first_layer_back(const BlockDual& doutput, const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[0];
  const Maps& maps = maps_[0];
  const int64_t chunk = chunk_of(l, rows_);
  if (into.images) std::fill_n(into.images, rows_ * l.input_size(), 0.0f);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    backward_tails(l, maps, doutput, begin, begin + count, into.theta);
    const float* derivative = maps.map + begin * l.map_size();
    const float* value = derivative + rows_ * l.map_size();
    add_weight(tools_, 0, count, images_ + begin * l.input_size(), derivative, into.theta);
    if (!into.images) continue;
    float* images = into.images + begin * l.input_size();
    convolve_back(tools_, 0, count, derivative, weights_, images);
    convolve_back(tools_, 0, count, value, tangent_, images);
  }
}

}  // namespace retort::nets
