#include "nets/blocked_pass.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace retort::nets {
namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line and the widest vector
constexpr int64_t kCachedFloats =
    128 * 1024;  // of the first, largest map: its tail follows at once

/// Images of the first layer that are taken together, so that their maps are still in cache when
/// the norm reads them.
int64_t chunk_of(const BlockedLayer& layer, int64_t rows) {
  return std::clamp<int64_t>(kCachedFloats / layer.map_size(), 1, rows);
}

ConvShape shape_of(const BlockedLayer& l, Product product, int64_t images) {
  return {product, images, l.in, l.out, l.height, l.width, l.kernel, l.padding};
}

/// Cotangents of images are computed for a whole block of channels.
ConvShape to_images(const BlockedLayer& l, int64_t images) {
  ConvShape shape = shape_of(l, Product::kInput, images);
  shape.in = channel_block();
  return shape;
}

int64_t floats_of(const dnnl::memory::desc& layout) {
  return static_cast<int64_t>((layout.get_size() + sizeof(float) - 1) / sizeof(float));
}

void convolve(const PassTools& tools, const ConvShape& shape, const float* input,
              const PackedWeights& weights, size_t layer, const float* output) {
  const ConvPlan& plan = tools.plans.get(shape);
  run(tools.plans.engine(), plan, shape.product, input, weights.get(layer, plan), output,
      tools.arena.scratch(floats_of(plan.scratch)));
}

/// The weight's cotangent over the chunks of a batch, added to `theta` at the end.
class WeightSum {
 public:
  WeightSum(const PassTools& tools, const BlockedLayer& layer, float* theta)
      : tools_(tools), layer_(layer), theta_(theta) {}

  void add(int64_t images, const float* input, const float* doutput) {
    const ConvPlan& plan = tools_.plans.get(shape_of(layer_, Product::kWeight, images));
    const int64_t count = floats_of(plan.weight);
    float* made = made_ && count <= room_ ? made_ : tools_.arena.take(count);
    run(tools_.plans.engine(), plan, Product::kWeight, input, made, doutput,
        tools_.arena.scratch(floats_of(plan.scratch)));
    if (sum_ && plan.weight == layout_) {
      for (int64_t i = 0; i < count; ++i) sum_[i] += made[i];
      made_ = made, room_ = count;
      return;
    }
    finish();
    sum_ = made, layout_ = plan.weight, made_ = nullptr;
  }

  void finish() {
    if (sum_)
      reorder(tools_.plans.engine(), layout_, sum_,
              plain_weight(layer_.out, layer_.in, layer_.kernel), theta_ + layer_.weight, true);
    sum_ = nullptr;
  }

 private:
  const PassTools& tools_;
  const BlockedLayer& layer_;
  float* theta_;
  float *sum_ = nullptr, *made_ = nullptr;
  int64_t room_ = 0;
  dnnl::memory::desc layout_;
};

/// [rows, C / block, positions, block] to [rows, C, positions], and back.
void unblock(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; c += block)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t k = 0; k < block; ++k)
          to[(n * channels + c + k) * positions + p] =
              from[(n * channels + c) * positions + p * block + k];
}

void block_up(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; c += block)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t k = 0; k < block; ++k)
          to[(n * channels + c) * positions + p * block + k] =
              from[(n * channels + c + k) * positions + p];
}

/// The first channels of one block of maps, [rows, 1, positions, block] to [rows, C, positions];
/// adds.
void add_channels(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < positions; ++p)
        to[(n * channels + c) * positions + p] += from[(n * positions + p) * block + c];
}

BlockMap map_of(const BlockedLayer& layer) {
  return {layer.map_height, layer.map_width, channel_block()};
}

/// Calls tail(row, channel, offset in maps, offset in outputs) for every image and block.
template <class Tail>
void each_block(const BlockedLayer& layer, int64_t begin, int64_t end, const Tail& tail) {
  const int64_t block = channel_block(), positions = layer.map_height * layer.map_width;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t channel = 0; channel < layer.out; channel += block) {
      const int64_t offset = row * layer.map_size() + channel * positions;
      tail(row, channel, offset, offset / 4);
    }
}

int64_t head_positions(const BlockedLayer& last) {
  return last.map_height * last.map_width / 4;
}

}  // namespace

void Arena::Free::operator()(float* memory) const {
  std::free(memory);
}

Arena::Memory Arena::allocate(int64_t count) {
  const int64_t bytes =
      (count * static_cast<int64_t>(sizeof(float)) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(std::max(bytes, kAlignment)));
  if (!memory) throw std::bad_alloc();
  return Memory(static_cast<float*>(memory));
}

float* Arena::take(int64_t count) {
  constexpr int64_t kStep = kAlignment / static_cast<int64_t>(sizeof(float));
  count = (count + kStep - 1) / kStep * kStep;
  total_ += count;
  if (blocks_.empty() || used_ + count > capacity_) {
    capacity_ = count;
    used_ = 0;
    blocks_.push_back(allocate(count));
  }
  float* memory = blocks_.back().get() + used_;
  used_ += count;
  return memory;
}

float* Arena::scratch(int64_t count) {
  if (count > scratch_size_) {
    scratch_.reset();
    scratch_ = allocate(count);
    scratch_size_ = count;
  }
  return scratch_.get();
}

void Arena::reset() {
  if (blocks_.size() > 1) {  // next time in one
    blocks_.clear();
    blocks_.push_back(allocate(total_));
    capacity_ = total_;
  }
  used_ = total_ = 0;
}

void PackedWeights::prepare(size_t layer, const ConvPlan& plan, const dnnl::engine& engine,
                            Arena& arena) {
  for (const Packed& packed : packed_)
    if (packed.layer == layer && packed.layout == plan.weight) return;
  const BlockedLayer& l = network_.layers[layer];
  const float* plain = theta_ + l.weight;
  const int64_t in = plan.weight.dims()[1], area = l.kernel * l.kernel;
  if (in != l.in) {  // channels of zeros up to a block
    float* padded = arena.take(l.out * in * area);
    std::memset(padded, 0, static_cast<size_t>(l.out * in * area) * sizeof(float));
    for (int64_t o = 0; o < l.out; ++o)
      std::copy_n(plain + o * l.in * area, l.in * area, padded + o * in * area);
    plain = padded;
  }
  float* data = arena.take(floats_of(plan.weight));
  reorder(engine, plain_weight(l.out, in, l.kernel), plain, plan.weight, data);
  packed_.push_back({layer, plan.weight, data});
}

const float* PackedWeights::get(size_t layer, const ConvPlan& plan) const {
  for (const Packed& packed : packed_)
    if (packed.layer == layer && packed.layout == plan.weight) return packed.data;
  throw std::logic_error("a weight was not packed");
}

void prepare(const PassTools& tools, const PassNeeds& needs, PackedWeights& weights) {
  const auto& layers = tools.network.layers;
  const auto pack = [&](size_t layer, const ConvShape& shape) {
    weights.prepare(layer, tools.plans.get(shape), tools.plans.engine(), tools.arena);
  };
  const int64_t chunk = chunk_of(layers[0], needs.rows), rest = needs.rows % chunk;
  for (const int64_t rows : {chunk, rest}) {
    if (rows == 0) continue;
    pack(0, shape_of(layers[0], Product::kForward, rows));
    if (needs.images) pack(0, to_images(layers[0], rows));
  }
  for (size_t i = 1; i < layers.size(); ++i)
    for (const int64_t rows : {needs.rows, 2 * needs.rows}) {
      if (rows != needs.rows && !needs.along) continue;
      pack(i, shape_of(layers[i], Product::kForward, rows));
      if (needs.back) pack(i, shape_of(layers[i], Product::kInput, rows));
    }
}

BlockedPass::BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows,
                         bool keep)
    : tools_(tools), weights_(weights), rows_(rows), keep_(keep) {
  float* shared = nullptr;
  if (!keep) {
    int64_t largest = 0;
    for (size_t i = 0; i < tools.network.layers.size(); ++i) {
      const BlockedLayer& layer = tools.network.layers[i];
      largest = std::max(largest, (i == 0 ? chunk_of(layer, rows) : rows) * layer.map_size());
    }
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
    const int64_t chunk = i == 0 ? chunk_of(layer, rows_) : rows_;
    for (int64_t begin = 0; begin < rows_; begin += chunk) {
      const int64_t count = std::min(chunk, rows_ - begin);
      // Without a way back, all chunks use the same memory.
      float* map = keep_ ? maps.map : maps.map - begin * layer.map_size();
      convolve(tools_, shape_of(layer, Product::kForward, count),
               input + begin * layer.input_size(), weights_, i, map + begin * layer.map_size());
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
  unblock(input, rows_, last.out, head_positions(last), features);
  return features;
}

void BlockedPass::backward(const float* dfeatures, const PassCotangents& into) {
  const BlockedLayer& last = tools_.network.layers.back();
  float* doutput = tools_.arena.take(rows_ * tools_.network.features);
  block_up(dfeatures, rows_, last.out, head_positions(last), doutput);
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
  if (unwanted) std::memset(unwanted, 0, static_cast<size_t>(2 * l.out) * sizeof(float));
  float* dgain = into.theta ? into.theta + l.gain : unwanted;
  float* dshift = into.theta ? into.theta + l.shift : unwanted + l.out;
  const int64_t chunk = layer == 0 ? chunk_of(l, rows_) : rows_;
  WeightSum weight(tools_, l, into.theta);
  float* block_images = nullptr;
  const int64_t positions = l.height * l.width;
  if (layer == 0 && into.images) {
    block_images = tools_.arena.take(chunk * positions * channel_block());
    std::memset(into.images, 0, static_cast<size_t>(rows_ * l.input_size()) * sizeof(float));
  }
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    each_block(
        l, begin, begin + count, [&](int64_t row, int64_t channel, int64_t at, int64_t from) {
          const int64_t norm = row * l.out + channel;
          block_backward(map_of(l), maps.map + at, doutput + from,
                         {theta + l.gain + channel, theta + l.shift + channel},
                         {maps.mean + norm, maps.rstd + norm}, dgain + channel, dshift + channel);
        });
    const float* dmap = maps.map + begin * l.map_size();
    if (into.theta) weight.add(count, input + begin * l.input_size(), dmap);
    if (layer > 0)
      convolve(tools_, shape_of(l, Product::kInput, count), dinput + begin * l.input_size(),
               weights_, layer, dmap);
    if (block_images) {
      convolve(tools_, to_images(l, count), block_images, weights_, layer, dmap);
      add_channels(block_images, count, l.in, positions, into.images + begin * l.input_size());
    }
  }
  weight.finish();
}

AlongPass::AlongPass(const PassTools& tools, const PackedWeights& weights,
                     const PackedWeights& along, int64_t rows)
    : tools_(tools), weights_(weights), along_(along), rows_(rows) {
  Arena& arena = tools.arena;
  bool first = true;
  for (const BlockedLayer& l : tools.network.layers) {
    maps_.push_back({arena.take(2 * rows * l.map_size()), arena.take(2 * rows * l.output_size()),
                     first ? nullptr : arena.take(rows * l.map_size()), arena.take(rows * l.out),
                     arena.take(rows * l.out), arena.take(rows * l.out), arena.take(rows * l.out)});
    first = false;
  }
}

BlockAffine AlongPass::affine(const BlockedLayer& layer, int64_t channel) const {
  const float *theta = weights_.theta(), *along = along_.theta();
  return {theta + layer.gain + channel, theta + layer.shift + channel, along + layer.gain + channel,
          along + layer.shift + channel};
}

BlockMoments AlongPass::moments(const Maps& maps, const BlockedLayer& layer, int64_t row,
                                int64_t channel) const {
  const int64_t at = row * layer.out + channel;
  return {maps.mean + at, maps.rstd + at, maps.mean_along + at, maps.covariance + at};
}

void AlongPass::forward_tails(const BlockedLayer& layer, const Maps& maps, int64_t begin,
                              int64_t end) {
  float* map_along = maps.map + rows_ * layer.map_size();
  float* output_along = maps.output + rows_ * layer.output_size();
  each_block(layer, begin, end, [&](int64_t row, int64_t channel, int64_t at, int64_t to) {
    block_forward_along(map_of(layer), maps.map + at,
                        {map_along + at, maps.second ? maps.second + at : nullptr},
                        affine(layer, channel), maps.output + to, output_along + to,
                        moments(maps, layer, row, channel));
  });
}

const float* AlongPass::forward(const float* images) {
  images_ = images;
  const auto& layers = tools_.network.layers;
  const BlockedLayer& first = layers[0];
  const int64_t chunk = chunk_of(first, rows_);
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    const ConvShape shape = shape_of(first, Product::kForward, count);
    const float* input = images + begin * first.input_size();
    float* map = maps_[0].map + begin * first.map_size();
    convolve(tools_, shape, input, weights_, 0, map);
    convolve(tools_, shape, input, along_, 0, map + rows_ * first.map_size());
    forward_tails(first, maps_[0], begin, begin + count);
  }
  for (size_t i = 1; i < layers.size(); ++i) {
    // w * [x, x.] in one, and w. * x beside it: the norm adds the two parts of the tangent.
    const float* input = maps_[i - 1].output;
    convolve(tools_, shape_of(layers[i], Product::kForward, 2 * rows_), input, weights_, i,
             maps_[i].map);
    convolve(tools_, shape_of(layers[i], Product::kForward, rows_), input, along_, i,
             maps_[i].second);
    forward_tails(layers[i], maps_[i], 0, rows_);
  }
  const BlockedLayer& last = layers.back();
  float* features = tools_.arena.take(2 * rows_ * tools_.network.features);
  unblock(maps_.back().output, 2 * rows_, last.out, head_positions(last), features);
  return features;
}

void AlongPass::backward_tails(const BlockedLayer& layer, const Maps& maps, const float* doutput,
                               const float* second, int64_t begin, int64_t end, float* dtheta) {
  // doutput is [derivatives, cotangents], or the other way round at the head: see backward().
  const float* dvalue = doutput + rows_ * layer.output_size();
  float* map_along = maps.map + rows_ * layer.map_size();
  each_block(layer, begin, end, [&](int64_t row, int64_t channel, int64_t at, int64_t from) {
    block_backward_along(map_of(layer), maps.map + at, map_along + at, dvalue + from,
                         doutput + from, second ? second + from : nullptr, affine(layer, channel),
                         moments(maps, layer, row, channel), dtheta + layer.gain + channel,
                         dtheta + layer.shift + channel);
  });
}

void AlongPass::backward(const float* dfeatures, const PassCotangents& into) {
  const auto& layers = tools_.network.layers;
  const int64_t positions = head_positions(layers.back()), features = tools_.network.features;
  float* doutput = tools_.arena.take(2 * rows_ * features);
  // From here on the derivatives stand first: they meet the values in the weight's correlation.
  block_up(dfeatures + rows_ * features, rows_, layers.back().out, positions, doutput);
  block_up(dfeatures, rows_, layers.back().out, positions, doutput + rows_ * features);
  const float* second = nullptr;
  for (size_t i = layers.size(); i-- > 1;) {
    const BlockedLayer& l = layers[i];
    Maps& maps = maps_[i];
    backward_tails(l, maps, doutput, second, 0, rows_, into.theta);
    float* input = maps_[i - 1].output;
    WeightSum weight(tools_, l, into.theta);
    weight.add(2 * rows_, input, maps.map);
    weight.finish();
    // dx. = w^T dz. + w.^T dz: the second part goes where the tangent's was.
    convolve(tools_, shape_of(l, Product::kInput, 2 * rows_), input, weights_, i, maps.map);
    float* part = tools_.arena.take(rows_ * l.input_size());
    convolve(tools_, shape_of(l, Product::kInput, rows_), part, along_, i,
             maps.map + rows_ * l.map_size());
    doutput = input;
    second = part;
  }
  first_layer_back(doutput, second, into);
}

void AlongPass::first_layer_back(const float* doutput, const float* second,
                                 const PassCotangents& into) {
  const BlockedLayer& l = tools_.network.layers[0];
  const Maps& maps = maps_[0];
  const int64_t chunk = chunk_of(l, rows_), positions = l.height * l.width;
  WeightSum weight(tools_, l, into.theta);
  float* block_images = nullptr;
  if (into.images) {
    block_images = tools_.arena.take(chunk * positions * channel_block());
    std::memset(into.images, 0, static_cast<size_t>(rows_ * l.input_size()) * sizeof(float));
  }
  for (int64_t begin = 0; begin < rows_; begin += chunk) {
    const int64_t count = std::min(chunk, rows_ - begin);
    backward_tails(l, maps, doutput, second, begin, begin + count, into.theta);
    const float* derivative = maps.map + begin * l.map_size();
    const float* value = derivative + rows_ * l.map_size();
    weight.add(count, images_ + begin * l.input_size(), derivative);
    if (!block_images) continue;
    float* images = into.images + begin * l.input_size();
    convolve(tools_, to_images(l, count), block_images, weights_, 0, derivative);
    add_channels(block_images, count, l.in, positions, images);
    convolve(tools_, to_images(l, count), block_images, along_, 0, value);
    add_channels(block_images, count, l.in, positions, images);
  }
  weight.finish();
}

}  // namespace retort::nets
