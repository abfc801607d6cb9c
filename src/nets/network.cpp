// A network's layout and its beginning; nets/network_calls.cpp has its calls.
#include "retort/nets/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "nets/engine.h"
#include "nets/layer_builder.h"
#include "retort/core/error.h"
#include "retort/core/progress.h"

namespace retort::nets {
namespace {

// Measured: ConvNet of width 128 at 3x32x32 takes 2.4 MB an image for a gradient, 2.8 times its
// activations in float32.
constexpr int64_t kBytesAnActivation = 12;

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

Network::Network(std::string name, Architecture architecture, Shape shape) {
  const auto& [channels, height, width, classes] = shape;
  InitPass declared;
  declared.doing = fmt::format("building the network '{}' for {}x{}x{} images and {} classes", name,
                               channels, height, width, classes);
  if (channels < 1 || height < 1 || width < 1 || classes < 1)
    throw ConfigError(ErrorMessage{declared.doing,
                                   "there is nothing to build for",
                                   "at least one channel, pixel and class",
                                   {}});
  declared.made = {at::zeros({1}).expand({1, channels, height, width})};
  LayerBuilder builder(declared);
  const at::Tensor logits = architecture(builder, declared.made.front());
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) == classes, "an architecture returns [N, K]");
  if (!declared.known || !logits.is_same(declared.made.back())) declared.ops.clear();
  definition_ = std::make_shared<Definition>(
      Definition{std::move(name), std::move(architecture), shape, std::move(declared.parameters),
                 std::move(declared.state), std::move(declared.ops), declared.sequential});
  engines_ = make_engines(definition_);
  taps_ = std::move(declared.taps);
  taps_.emplace_back("logits");
  feature_size_ = declared.feature_size;
  bytes_per_image_ = declared.activations * kBytesAnActivation;
}

const std::string& Network::name() const {
  return definition_->name;
}

const Shape& Network::shape() const {
  return definition_->shape;
}

const Layout& Network::parameters() const {
  return definition_->parameters;
}

const Layout& Network::state() const {
  return definition_->state;
}

bool Network::is_sequential() const {
  return definition_->sequential && !definition_->ops.empty();
}

void Network::limit_memory(int64_t bytes) {
  memory_ = bytes;
  if (bytes == 0 || rows_at_once(1) == 1) return;
  throw ResourceError(
      ErrorMessage{"fitting the work into the memory limit",
                   fmt::format("one image of network '{}' needs about {}; {} are left", name(),
                               format_bytes(static_cast<double>(bytes_per_image_)),
                               format_bytes(static_cast<double>(std::max<int64_t>(bytes, 0)))),
                   {},
                   "raise --memory-limit, or choose a smaller --network"});
}

int64_t Network::rows_at_once(int64_t wanted) const {
  return MemoryLimit{memory_, bytes_per_image_}.rows(wanted);
}

int64_t Network::spare_bytes() const {
  return MemoryLimit{memory_, bytes_per_image_}.spare();
}

at::Tensor Network::initial(RandomStream stream) const {
  at::Tensor theta = at::empty({parameters().size});
  fill(parameters(), theta, &stream);
  return theta;
}

at::Tensor Network::initial_state() const {
  at::Tensor fresh = at::empty({state().size});
  fill(state(), fresh, nullptr);
  return fresh;
}

}  // namespace retort::nets
