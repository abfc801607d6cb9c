#include "nets/blocked/fit.h"

namespace retort::nets {
namespace {

/// True for a convolution followed by instance norm, ReLU and average pooling.
bool is_block(const Op& convolution, const Op& rest) {
  const NormActPool& layer = rest.layer;
  return convolution.kind == Op::Kind::kConv && rest.kind == Op::Kind::kNormActPool &&
         layer.norm == NormKind::kInstance && layer.activation == Activation::kRelu &&
         layer.pool == Pool::kAverage && convolution.conv.stride == 1 &&
         convolution.conv.kernel == 3 && convolution.conv.out % channel_block() == 0;
}

}  // namespace

std::optional<BlockedNetwork> fit_blocks(const Definition& definition) {
  const std::vector<Op>& ops = definition.ops;
  const std::vector<Slot>& slots = definition.parameters.slots;
  if (!definition.sequential || ops.size() < 3 || ops.size() % 2 == 0) return {};
  if (ops.back().kind != Op::Kind::kLinear || definition.shape.channels > kFirstChannels) return {};
  BlockedNetwork network;
  auto [channels, height, width, classes] = definition.shape;
  for (size_t i = 0; i + 1 < ops.size(); i += 2) {
    if (!is_block(ops[i], ops[i + 1])) return {};
    const Convolution& conv = ops[i].conv;
    if (i > 0 && conv.padding != 1) return {};
    BlockedLayer layer;
    layer.in = channels, layer.out = conv.out, layer.height = height, layer.width = width;
    layer.padding = conv.padding;
    layer.map_height = height + 2 * conv.padding - conv.kernel + 1;
    layer.map_width = width + 2 * conv.padding - conv.kernel + 1;
    if (layer.map_height % 2 != 0 || layer.map_width % 2 != 0) return {};
    layer.weight = slots[ops[i].slot].offset;
    layer.gain = slots[ops[i + 1].slot].offset;
    layer.shift = slots[ops[i + 1].slot + 1].offset;
    network.layers.push_back(layer);
    channels = conv.out, height = layer.map_height / 2, width = layer.map_width / 2;
  }
  const size_t head = ops.back().slot;
  network.features = channels * height * width;
  network.classes = classes;
  network.head_weight = slots[head].offset;
  network.head_bias = slots[head + 1].offset;
  network.parameters = definition.parameters.size;
  return network;
}

}  // namespace retort::nets
