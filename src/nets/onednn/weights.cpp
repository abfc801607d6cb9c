#include "nets/onednn/weights.h"

#include <algorithm>
#include <stdexcept>

#include "core/sizes.h"
#include "nets/onednn/primitive.h"

namespace retort::nets {
namespace {

constexpr int64_t kCachedFloats =
    128 * 1024;  // of the first, largest map: its tail follows at once

int64_t floats_of(const dnnl::memory::desc& layout) {
  return to_int64((layout.get_size() + sizeof(float) - 1) / sizeof(float));
}

}  // namespace

int64_t chunk_of(const BlockedLayer& layer, int64_t rows) {
  return std::clamp<int64_t>(kCachedFloats / layer.map_size(), 1, rows);
}

ConvShape shape_of(const BlockedLayer& l, Product product, int64_t images) {
  return {product, images, l.in, l.out, l.height, l.width, l.kernel, l.padding};
}

ConvShape col2im_columns(const BlockedLayer& l, int64_t images) {
  const int64_t block = channel_block(), taps = l.in * l.kernel * l.kernel;
  const int64_t out = (taps + block - 1) / block * block;
  return {Product::kForward, images, l.out, out, l.map_height, l.map_width, 1, 0};
}

void convolve(const PassTools& tools, const ConvShape& shape, const float* input,
              const PackedWeights& weights, size_t layer, const float* output) {
  const ConvPlan& plan = tools.plans.get(shape);
  run(tools.plans.engine(), plan, shape.product, input, weights.get(layer, plan), output,
      tools.arena.scratch(floats_of(plan.scratch)));
}

void WeightGradAccumulator::add(int64_t images, const float* input, const float* doutput) {
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

void WeightGradAccumulator::finish() {
  if (sum_)
    reorder(tools_.plans.engine(), layout_, sum_,
            plain_weight(layer_.out, layer_.in, layer_.kernel), theta_ + layer_.weight, true);
  sum_ = nullptr;
}

void PackedWeights::prepare(size_t layer, const ConvPlan& plan, Arena& arena) {
  for (const Packed& packed : packed_)
    if (packed.layer == layer && packed.layout == plan.weight) return;
  const BlockedLayer& l = network_.layers[layer];
  const dnnl::memory::dims dims = dims_of(plan.weight);
  const bool turned = dims[0] != l.out || dims[2] != l.kernel;
  packed_.push_back({layer, plan.weight, arena.take(floats_of(plan.weight)),
                     turned ? arena.take(dims[0] * l.out) : nullptr});
}

void PackedWeights::pack(size_t index, const dnnl::engine& engine) const {
  const Packed& packed = packed_[index];
  const BlockedLayer& l = network_.layers[packed.layer];
  const dnnl::memory::dims dims = dims_of(packed.layout);
  const float* plain = theta_ + l.weight;
  if (packed.turned) {  // col2im_columns(): [taps, out], zeros below
    const int64_t taps = l.in * l.kernel * l.kernel;
    std::fill_n(packed.turned, dims[0] * l.out, 0.0f);
    for (int64_t o = 0; o < l.out; ++o)
      for (int64_t t = 0; t < taps; ++t) packed.turned[t * l.out + o] = plain[o * taps + t];
    plain = packed.turned;
  }
  reorder(engine, plain_weight(dims[0], dims[1], dims[2]), plain, packed.layout, packed.data);
}

const float* PackedWeights::get(size_t layer, const ConvPlan& plan) const {
  for (const Packed& packed : packed_)
    if (packed.layer == layer && packed.layout == plan.weight) return packed.data;
  throw std::logic_error("a weight was not packed");
}

void prepare(const PassTools& tools, const PassPlan& pass, PackedWeights& weights) {
  const auto& layers = tools.network.layers;
  const auto pack = [&](size_t layer, const ConvShape& shape) {
    weights.prepare(layer, tools.plans.get(shape), tools.arena);
  };
  const int64_t chunk = chunk_of(layers[0], pass.rows), rest = pass.rows % chunk;
  for (const int64_t rows : {chunk, rest}) {
    if (rows == 0) continue;
    pack(0, shape_of(layers[0], Product::kForward, rows));
    if (pass.wrt.images) pack(0, col2im_columns(layers[0], rows));
  }
  for (size_t i = 1; i < layers.size(); ++i)
    for (const int64_t rows : {pass.rows, 2 * pass.rows}) {
      if (rows != pass.rows && !pass.tangent) continue;
      pack(i, shape_of(layers[i], Product::kForward, rows));
      if (pass.wrt.any()) pack(i, shape_of(layers[i], Product::kInput, rows));
    }
}

}  // namespace retort::nets
