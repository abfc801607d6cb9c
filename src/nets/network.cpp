// A network's layout, its beginning, and prediction.
#include "retort/nets/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numbers>

#include "nets/pass.h"
#include "nets/row_lanes.h"
#ifdef RETORT_WITH_BLOCKED
#include "nets/onednn/engine.h"
#endif
#include "retort/core/error.h"
#include "retort/core/progress.h"
#include "retort/nets/layer_builder.h"

namespace retort::nets {
namespace {

// Measured: ConvNet of width 128 at 3x32x32 takes 2.4 MB an image for a gradient, 2.8 times its
// activations in float32.
constexpr int64_t kBytesAnActivation = 12;
constexpr int64_t kCallersShare = 4;  // a quarter of the memory is for what callers keep

/// Normals that lie within two deviations, scaled so that `deviation` is theirs (lecun_normal of
/// flax).
void fill_truncated_normal(at::Tensor values, double deviation, RandomStream& stream) {
  constexpr double kWithin = 0.95449973610364158;       // a normal's share within two deviations
  constexpr double kOfTruncated = 0.87962566103423978;  // the deviation of that part
  stream.fill_uniform(values.data_ptr<float>(), values.numel(), static_cast<float>(-kWithin),
                      static_cast<float>(kWithin));
  values.erfinv_().mul_(std::numbers::sqrt2 * deviation / kOfTruncated);
}

void fill(const Layout& layout, const at::Tensor& flat, RandomStream* stream) {
  float* values = flat.data_ptr<float>();
  for (const Slot& slot : layout.slots) {
    float* begin = values + slot.offset;
    const float bound = static_cast<float>(slot.bound);
    if (slot.start == Slot::Start::kNormal)
      fill_truncated_normal(flat.narrow(0, slot.offset, slot.count), slot.bound, *stream);
    else if (slot.start == Slot::Start::kUniform)
      stream->fill_uniform(begin, slot.count, -bound, bound);
    else
      std::fill(begin, begin + slot.count, slot.start == Slot::Start::kOnes ? 1.0f : 0.0f);
  }
}

}  // namespace

const Slot& Layout::find(const std::string& name) const {
  for (const Slot& slot : slots)
    if (slot.name == name) return slot;
  TORCH_CHECK(false, "there is no parameter '", name, "'");
}

Network::Network(std::string name, Architecture architecture, Shape shape)
    : name_(std::move(name)), architecture_(std::move(architecture)), shape_(shape) {
  const auto& [channels, height, width, classes] = shape_;
  Declaration declared;
  declared.doing = fmt::format("building the network '{}' for {}x{}x{} images and {} classes",
                               name_, channels, height, width, classes);
  if (channels < 1 || height < 1 || width < 1 || classes < 1)
    throw ConfigError(ErrorMessage{declared.doing,
                                   "there is nothing to build for",
                                   "at least one channel, pixel and class",
                                   {}});
  declared.last = at::zeros({1}).expand({1, channels, height, width});
  Forward forward(declared);
  const at::Tensor logits = architecture_(forward, declared.last);
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) == classes, "an architecture returns [N, K]");
  parameters_ = std::move(declared.parameters);
  state_ = std::move(declared.state);
  taps_ = std::move(declared.taps);
  taps_.emplace_back("logits");
  feature_size_ = declared.feature_size;
  activations_ = declared.activations;
  if (declared.chain && logits.is_same(declared.last))
    chain_ = std::make_shared<std::vector<Step>>(std::move(declared.steps));
#ifdef RETORT_WITH_BLOCKED
  if (chain_) blocked_ = BlockedEngine::fit(*chain_, parameters_, shape_);
#endif
}

void Network::limit_memory(int64_t bytes) {
  memory_ = bytes;
  if (bytes == 0 || rows_at_once(1) == 1) return;
  throw ResourceError(
      ErrorMessage{"fitting the work into the memory limit",
                   fmt::format("one image of network '{}' needs about {}; {} are left", name_,
                               format_bytes(static_cast<double>(activations_ * kBytesAnActivation)),
                               format_bytes(static_cast<double>(std::max<int64_t>(bytes, 0)))),
                   {},
                   "raise --memory-limit, or choose a smaller --network"});
}

int64_t Network::rows_at_once(int64_t wanted) const {
  if (memory_ == 0) return wanted;
  const int64_t bytes = std::max<int64_t>(memory_, 0) / kCallersShare * (kCallersShare - 1);
  return std::min(wanted, bytes / std::max<int64_t>(activations_ * kBytesAnActivation, 1));
}

int64_t Network::spare_bytes() const {
  return memory_ == 0 ? std::numeric_limits<int64_t>::max() : memory_ / kCallersShare;
}

at::Tensor Network::initial(RandomStream stream) const {
  at::Tensor theta = at::empty({parameters_.size});
  fill(parameters_, theta, &stream);
  return theta;
}

at::Tensor Network::initial_state() const {
  at::Tensor state = at::empty({state_.size});
  fill(state_, state, nullptr);
  return state;
}

at::Tensor Network::predict(const at::Tensor& theta, const at::Tensor& state,
                            const at::Tensor& images, int64_t chunk) const {
  TORCH_CHECK(theta.dim() == 1, "predict takes one network's theta");
  at::NoGradGuard no_grad;
#ifdef RETORT_WITH_BLOCKED
  const Part whole{theta, state, images, NormMode::kFrozen};
  if (by_blocks({whole}))
    return blocked_->observe(whole, {"logits"}, {}, row_limits(*this, kBlockedForward))
        .taps["logits"];
#endif
  chunk = rows_at_once(chunk);
  std::vector<at::Tensor> pieces;
  for (int64_t begin = 0; begin < images.size(0); begin += chunk) {
    const int64_t count = std::min(chunk, images.size(0) - begin);
    const Part part{theta, state, images.narrow(0, begin, count), NormMode::kFrozen};
    pieces.push_back(run(part, {}).logits);
  }
  if (pieces.empty()) return at::empty({0, shape_.classes}, images.options());
  return at::cat(pieces);
}

}  // namespace retort::nets
