// The layers of a sweep from the operations of a network.
#include "nets/sequential/dual_layers.h"

#include "nets/sequential/dual_kinds.h"

namespace retort::nets {
namespace {

/// True where the set that is normalised has one bias only: adding to it changes nothing.
bool voids_bias(const Op& next, NormMode mode) {
  if (next.kind != Op::Kind::kNormActPool) return false;
  return next.layer.norm == NormKind::kInstance ||
         (next.layer.norm == NormKind::kBatch && mode != NormMode::kFrozen);
}

/// A norm, an activation and a pool in this order; `statistics`: the next running one.
void add_norm_act_pool(const Op& op, DualParameters& p, size_t& statistics,
                       std::vector<std::unique_ptr<DualLayer>>& layers) {
  const NormActPool& layer = op.layer;
  if (layer.norm != NormKind::kNone)
    layers.push_back(dual_norm(layer.norm, op.slot, p, statistics));
  if (layer.norm == NormKind::kBatch) statistics += 2;
  if (layer.activation != Activation::kNone) layers.push_back(dual_activation(layer.activation));
  if (layer.pool != Pool::kNone) layers.push_back(dual_pool(layer.pool, 2));
}

}  // namespace

std::vector<std::unique_ptr<DualLayer>> dual_layers(const std::vector<Op>& ops, DualParameters& p) {
  std::vector<std::unique_ptr<DualLayer>> layers;
  size_t statistics = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    switch (op.kind) {
      case Op::Kind::kConv:
        layers.push_back(dual_conv(op, p, i + 1 == ops.size() || !voids_bias(ops[i + 1], p.norm)));
        break;
      case Op::Kind::kNormActPool:
        add_norm_act_pool(op, p, statistics, layers);
        break;
      case Op::Kind::kPool:
        if (op.layer.pool != Pool::kNone) layers.push_back(dual_pool(op.layer.pool, op.window));
        break;
      case Op::Kind::kGlobalAverage:
        layers.push_back(dual_global_average());
        break;
      case Op::Kind::kLinear:
        layers.push_back(dual_linear(op.slot, p));
        break;
      case Op::Kind::kAdd:
        TORCH_INTERNAL_ASSERT(false, "a sequential network adds nothing");
    }
  }
  return layers;
}

}  // namespace retort::nets
