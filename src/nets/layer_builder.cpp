// The operations of an architecture, declared on blanks and evaluated on batches.
#include "nets/layer_builder.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "core/sizes.h"
#include "nets/fused/block.h"
#include "nets/max_windows.h"
#include "retort/core/error.h"

namespace retort::nets {
namespace {

constexpr double kMomentum = 0.1, kEpsilon = 1e-5;  // PyTorch's
constexpr int64_t kGroups = 4;

// A tensor of which only the shape counts; it owns one number.
at::Tensor blank(std::vector<int64_t> shape) {
  return at::zeros({1}).expand(shape);
}

Slot append(Layout& layout, Slot slot) {
  slot.count = 1;
  for (const int64_t side : slot.shape) slot.count *= side;
  slot.offset = layout.size;
  layout.size += slot.count;
  layout.slots.push_back(slot);
  return slot;
}

// Channels-last strides for certain: with one channel both orders are the same bytes, and libtorch
// would then choose the slower convolution.
at::Tensor channels_last(const at::Tensor& x) {
  if (x.size(1) != 1) return x.contiguous(at::MemoryFormat::ChannelsLast);
  return x.reshape({x.size(0), x.size(2), x.size(3), 1}).permute({0, 3, 1, 2});
}

}  // namespace

void LayerBuilder::refuse(const std::string& layer, const std::string& found,
                          const std::string& accepted) {
  throw ConfigError(ErrorMessage{init_->doing, fmt::format("layer '{}' {}", layer, found), accepted,
                                 "choose larger images or a shallower network"});
}

at::Tensor LayerBuilder::parameter(const std::string& name, std::vector<int64_t> shape,
                                   Slot::Start start, double bound) {
  // Both rules know a layer by 1 / sqrt(fan in).
  if (normal_ && start == Slot::Start::kUniform)
    start = shape.size() > 1 ? Slot::Start::kNormal : Slot::Start::kZeros;
  if (initialising()) {
    append(init_->parameters, {name, shape, 0, 0, start, bound});
    return blank(shape);
  }
  TORCH_CHECK(next_parameter_ < apply_->theta.size(), "no parameter is left for ", name);
  const at::Tensor& value = apply_->theta[next_parameter_++];
  TORCH_CHECK(value.sizes() == at::IntArrayRef(shape), "the shape of ", name, " has changed");
  return value;
}

at::Tensor LayerBuilder::statistic(const std::string& name, int64_t count, Slot::Start start) {
  if (initialising()) {
    append(init_->state, {name, {count}, 0, 0, start, 0});
    return {};
  }
  const size_t place = next_statistic_++;
  return place < apply_->state.size() ? apply_->state[place] : at::Tensor();
}

void LayerBuilder::tap(const std::string& name, const at::Tensor& x) {
  if (initialising()) return init_->taps.push_back(name);
  const auto found = apply_->taps.find(name);
  if (found != apply_->taps.end()) found->second = x;
}

void LayerBuilder::tap_moments(const std::string& name, const at::Tensor& x) {
  if (initialising() || apply_->taps.count(name) == 0) return;
  std::vector<int64_t> edges = apply_->offsets;
  if (edges.empty()) edges = {0, x.size(0)};
  std::vector<at::Tensor> all;
  for (size_t g = 0; g + 1 < edges.size(); ++g) {
    const at::Tensor rows = x.slice(0, edges[g], edges[g + 1]);
    const at::Tensor mean = rows.mean({0, 2, 3}), away = rows - mean.view({1, -1, 1, 1});
    all.push_back(at::stack({mean, away.square().mean({0, 2, 3})}));
  }
  apply_->taps[name] = at::stack(all);
}

bool LayerBuilder::first_order_cpu(const at::Tensor& x) const {
  return !apply_->second_order && x.device().is_cpu() && x.scalar_type() == at::kFloat;
}

int64_t LayerBuilder::maker_of(const at::Tensor& x) {
  for (size_t i = init_->made.size(); i-- > 0;)
    if (x.is_same(init_->made[i])) return to_int64(i) - 1;
  init_->known = false;
  return -1;
}

at::Tensor LayerBuilder::recorded(const at::Tensor& x, Op op, const at::Tensor& result,
                                  const at::Tensor& y) {
  InitPass& d = *init_;
  op.from = {maker_of(x), y.defined() ? maker_of(y) : -1};
  op.sides = {result.size(1), result.dim() > 2 ? result.size(2) : 1,
              result.dim() > 2 ? result.size(3) : 1};
  d.sequential = d.sequential && op.from[0] == std::ssize(d.ops) - 1 && !y.defined();
  d.ops.push_back(op);
  d.activations += result.numel();
  d.made.push_back(blank(result.sizes().vec()));  // a tensor of its own
  return d.made.back();
}

at::Tensor LayerBuilder::conv(const std::string& name, at::Tensor x, const Convolution& settings) {
  const auto& [out, kernel, stride, padding, bias] = settings;
  const int64_t in = x.size(1);
  const double bound = 1 / std::sqrt(static_cast<double>(in * kernel * kernel));
  const size_t slot = slots();
  tap(name + ".input", x);
  const at::Tensor weight =
      parameter(name + ".weight", {out, in, kernel, kernel}, Slot::Start::kUniform, bound);
  at::Tensor shift;
  if (bias) shift = parameter(name + ".bias", {out}, Slot::Start::kUniform, bound);
  if (initialising()) {
    const int64_t height = x.size(2) + 2 * padding - kernel,
                  width = x.size(3) + 2 * padding - kernel;
    if (height < 0 || width < 0)
      refuse(name, fmt::format("gets a map of {}x{}", x.size(2), x.size(3)),
             fmt::format("sides of at least {}", kernel - 2 * padding));
    return recorded(x, {.kind = Op::Kind::kConv, .conv = settings, .slot = slot, .name = name},
                    blank({x.size(0), out, height / stride + 1, width / stride + 1}));
  }
  // oneDNN's channels-last convolutions take half the time for few input channels. But on several
  // threads the weight gradient of oneDNN 3.7 writes past its memory for a narrow strided 1x1.
  const bool narrow_shortcut = kernel == 1 && stride > 1 && in < 16;
  if (first_order_cpu(x)) x = narrow_shortcut ? x.contiguous() : channels_last(x);
  return at::conv2d(x, weight, shift, at::IntArrayRef{stride, stride},
                    at::IntArrayRef{padding, padding});
}

at::Tensor LayerBuilder::batch_norm(const std::string& name, const at::Tensor& x) {
  const int64_t channels = x.size(1);
  const at::Tensor gain = parameter(name + ".weight", {channels}, Slot::Start::kOnes);
  const at::Tensor shift = parameter(name + ".bias", {channels}, Slot::Start::kZeros);
  const at::Tensor mean = statistic(name + ".running_mean", channels, Slot::Start::kZeros);
  const at::Tensor variance = statistic(name + ".running_var", channels, Slot::Start::kOnes);
  if (initialising()) return x;
  const NormMode mode = apply_->norm;
  if (mode == NormMode::kBatch)
    return at::batch_norm(x, gain, shift, at::Tensor(), at::Tensor(), true, kMomentum, kEpsilon,
                          false);
  TORCH_CHECK(mean.defined() && variance.defined(), name, " needs running statistics");
  const bool updating = mode == NormMode::kUpdating;
  TORCH_CHECK(!updating || x.numel() > channels, name, " has one value a channel: no variance");
  return at::batch_norm(x, gain, shift, mean, variance, updating, kMomentum, kEpsilon, false);
}

at::Tensor LayerBuilder::affine_norm(const std::string& name, const at::Tensor& x,
                                     const NormActPool& layer) {
  const int64_t channels = x.size(1);
  std::vector<int64_t> shape = {channels};
  if (layer.norm == NormKind::kLayer) shape = {channels, x.size(2), x.size(3)};
  const at::Tensor gain = parameter(name + ".weight", shape, Slot::Start::kOnes);
  const at::Tensor shift = parameter(name + ".bias", shape, Slot::Start::kZeros);
  if (initialising() && layer.norm == NormKind::kGroup && channels % kGroups != 0)
    refuse(name, fmt::format("norms {} channels in {} groups", channels, kGroups),
           "a width that is a multiple of 4");
  if (initialising()) return finish(x, layer);
  if (layer.norm == NormKind::kInstance && first_order_cpu(x) && fused_block_fits(x))
    return fused_norm_act_pool(x, gain, shift, layer);
  const at::Tensor dense = x.contiguous();  // libtorch's norms are slow on channels-last maps
  if (layer.norm == NormKind::kLayer)
    return finish(at::layer_norm(dense, shape, gain, shift, kEpsilon, false), layer);
  const int64_t groups = layer.norm == NormKind::kGroup ? kGroups : channels;
  return finish(at::group_norm(dense, groups, gain, shift, kEpsilon, false), layer);
}

at::Tensor LayerBuilder::fused_norm_act_pool(const at::Tensor& x, const at::Tensor& gain,
                                             const at::Tensor& shift, const NormActPool& layer) {
  const bool relu = layer.activation == Activation::kRelu;
  const bool pooled = layer.pool == Pool::kAverage && x.size(2) % 2 == 0 && x.size(3) % 2 == 0 &&
                      (relu || layer.activation == Activation::kNone);
  const at::Tensor y = fused_block(x, gain, shift, relu, pooled);
  return finish(y, {NormKind::kNone, relu ? Activation::kNone : layer.activation,
                    pooled ? Pool::kNone : layer.pool});
}

at::Tensor LayerBuilder::finish(const at::Tensor& x, const NormActPool& layer) {
  return pooled(activated(x, layer.activation), layer.pool, 2);
}

at::Tensor LayerBuilder::norm(const std::string& name, const at::Tensor& x, NormKind kind) {
  return norm_act_pool(name, x, {kind, Activation::kNone, Pool::kNone});
}

at::Tensor LayerBuilder::norm_act_pool(const std::string& name, const at::Tensor& x,
                                       const NormActPool& layer) {
  const size_t slot = slots(), statistic = initialising() ? init_->state.slots.size() : 0;
  at::Tensor y;
  if (layer.norm != NormKind::kNone) tap(name + ".input", x);
  if (layer.norm == NormKind::kNone)
    y = finish(x, layer);
  else if (layer.norm == NormKind::kBatch)
    tap_moments(name + ".moments", x), y = finish(batch_norm(name, x), layer);
  else
    y = affine_norm(name, x, layer);
  if (!initialising()) return y;
  return recorded(x,
                  {.kind = Op::Kind::kNormActPool,
                   .layer = layer,
                   .slot = slot,
                   .statistic = statistic,
                   .name = name},
                  y);
}

at::Tensor LayerBuilder::activate(const at::Tensor& x, Activation activation) {
  return norm_act_pool({}, x, {NormKind::kNone, activation, Pool::kNone});
}

at::Tensor LayerBuilder::pool(const at::Tensor& x, Pool pool, int64_t window) {
  const at::Tensor y = pooled(x, pool, window);
  if (!initialising()) return y;
  const NormActPool layer{NormKind::kNone, Activation::kNone, pool};
  return recorded(x, {.kind = Op::Kind::kPool, .layer = layer, .window = window}, y);
}

at::Tensor LayerBuilder::activated(const at::Tensor& x, Activation activation) const {
  if (initialising()) return x;
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSigmoid:
      return at::sigmoid(x);
    case Activation::kLeaky:
      return at::leaky_relu(x, 0.01);
    case Activation::kSwish:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
    case Activation::kSoftplus:
      return at::softplus(x);
  }
  TORCH_INTERNAL_ASSERT(false, "unknown activation");
}

at::Tensor LayerBuilder::pooled(const at::Tensor& x, Pool pool, int64_t window) {
  if (pool == Pool::kNone) return x;
  if (initialising()) {
    if (x.size(2) < window || x.size(3) < window)
      refuse("pool", fmt::format("gets a map of {}x{}", x.size(2), x.size(3)),
             fmt::format("sides of at least {}", window));
    return blank({x.size(0), x.size(1), x.size(2) / window, x.size(3) / window});
  }
  const std::vector<int64_t> size = {window, window};
  if (pool == Pool::kAverage) return at::avg_pool2d(x, size);
  if (x.is_cpu()) return at::max_pool2d(x, size);
  return take_from_windows(x, largest_in_windows(x, window), window);
}

at::Tensor LayerBuilder::add(const at::Tensor& x, const at::Tensor& y) {
  if (!initialising()) return x + y;
  return recorded(x, {.kind = Op::Kind::kAdd}, blank(x.sizes().vec()), y);
}

at::Tensor LayerBuilder::global_average(const at::Tensor& x) {
  if (initialising())
    return recorded(x, {.kind = Op::Kind::kGlobalAverage}, blank({x.size(0), x.size(1), 1, 1}));
  return x.mean({2, 3}, /*keepdim=*/true);
}

at::Tensor LayerBuilder::linear(const std::string& name, const at::Tensor& x, int64_t out) {
  const at::Tensor flat = x.dim() > 2 ? x.flatten(1) : x;
  const int64_t in = flat.size(1);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  const size_t slot = slots();
  tap(name + ".input", flat);
  const at::Tensor weight = parameter(name + ".weight", {out, in}, Slot::Start::kUniform, bound);
  const at::Tensor shift = parameter(name + ".bias", {out}, Slot::Start::kUniform, bound);
  if (!initialising()) return at::linear(flat, weight, shift);
  return recorded(x, {.kind = Op::Kind::kLinear, .slot = slot, .name = name},
                  blank({x.size(0), out}));
}

at::Tensor LayerBuilder::features(const at::Tensor& x) {
  const at::Tensor flat = x.flatten(1);
  tap("features", flat);
  if (initialising()) {
    init_->feature_size = flat.size(1);
    init_->made[to_size(maker_of(x) + 1)] = flat;  // flattening is no operation
  }
  return flat;
}

}  // namespace retort::nets
