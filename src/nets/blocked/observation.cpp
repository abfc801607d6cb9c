#include "nets/blocked/observation.h"

#include <algorithm>
#include <optional>

#include "nets/blocked/head.h"
#include "nets/blocked/pass.h"

namespace retort::nets {
namespace {

/// What an observation keeps for its way back: a pass with its memory for every micro batch.
class Seen {
 public:
  Seen(std::shared_ptr<Workspace> space, const Group& group, const Query& query)
      : space_(std::move(space)),
        own_(group),
        wrt_(query.wrt),
        lanes_(cut_rows({group.rows()}, row_limits(query.memory, kRows))),
        weights_(*space_),
        arenas_(lanes_.batches.size()),
        passes_(lanes_.batches.size()),
        features_(at::empty({group.rows(), space_->network.features})) {
    for (size_t i = 0; i < lanes_.batches.size(); ++i)
      packed_.push_back(&weights_.of(own_.theta, wrt_));
    weights_.pack();
  }

  bool goes_back() const { return wrt_.any(); }
  const at::Tensor& features() const { return features_; }
  /// Fills features [N, F] and, where they are defined, logits [N, K].
  void forward(const at::Tensor& logits);
  Vjp pull(const std::map<std::string, at::Tensor>& cotangents);

 private:
  void forward(size_t i, const at::Tensor& logits);
  void backward(size_t i, const at::Tensor& dlogits, const at::Tensor& dfeatures, float* dtheta,
                const at::Tensor& images);

  const std::shared_ptr<Workspace> space_;
  const HeldGroup own_;
  const WithRespectTo wrt_;
  const Lanes lanes_;
  CallWeights weights_;
  std::vector<const PackedWeights*> packed_;  // of every micro batch
  std::vector<std::optional<ArenaPool::Lease>> arenas_;
  std::vector<std::unique_ptr<BlockedPass>> passes_;
  at::Tensor features_;
};

void Seen::forward(const at::Tensor& logits) {
  each_batch(lanes_, [&](size_t i, size_t) { forward(i, logits); });
}

void Seen::forward(size_t i, const at::Tensor& logits) {
  const MicroBatch& batch = lanes_.batches[i];
  const BlockedNetwork& network = space_->network;
  const int64_t count = batch.rows();
  ArenaPool::Lease arena = space_->arenas.lease();
  auto pass = std::make_unique<BlockedPass>(PassTools{network, *arena}, *packed_[i], count,
                                            goes_back() ? Follows::kBackward : Follows::kNothing);
  const float* found = pass->forward(own_.image(batch));
  std::copy_n(found, count * network.features,
              features_.data_ptr<float>() + batch.begin * network.features);
  if (logits.defined())
    logits.narrow(0, batch.begin, count).copy_(head(network, floats(own_.theta), found, count));
  if (!goes_back()) return;
  arenas_[i].emplace(std::move(arena));
  passes_[i] = std::move(pass);
}

void Seen::backward(size_t i, const at::Tensor& dlogits, const at::Tensor& dfeatures, float* dtheta,
                    const at::Tensor& images) {
  const MicroBatch& batch = lanes_.batches[i];
  const BlockedNetwork& network = space_->network;
  const int64_t feature = batch.begin * network.features;
  float* df = dfeatures.data_ptr<float>() + feature;
  if (dlogits.defined())
    head_back(network, floats(own_.theta), floats(dlogits) + batch.begin * network.classes,
              floats(features_) + feature, batch.rows(), dtheta, df, true);
  passes_[i]->backward(df, {dtheta, own_.place(images, batch)});
  passes_[i].reset();
  arenas_[i].reset();
}

Vjp Seen::pull(const std::map<std::string, at::Tensor>& cotangents) {
  TORCH_CHECK(!passes_.empty(), "an observation is pulled back once");
  const BlockedNetwork& network = space_->network;
  const at::Tensor dfeatures = at::zeros({own_.rows(), network.features});
  at::Tensor dlogits;
  for (const auto& [name, value] : cotangents)
    if (name == "features")
      dfeatures.add_(value.detach());
    else
      dlogits = value.detach().to(at::kFloat).contiguous();
  Vjp pulled;
  if (wrt_.images) pulled.images = at::empty_like(own_.images);
  LaneSums sums(lanes_, 1, at::empty({wrt_.theta ? network.parameters : 0}));
  each_batch(lanes_, [&](size_t i, size_t lane) {
    float* dtheta = wrt_.theta ? sums.of(lane).data_ptr<float>() : nullptr;
    backward(i, dlogits, dfeatures, dtheta, pulled.images);
    if (wrt_.theta) sums.done(i, lane);
  });
  if (wrt_.theta) pulled.theta = sums.take()[0];
  passes_.clear();
  return pulled;
}

}  // namespace

bool are_blocked_taps(const std::vector<std::string>& taps) {
  return std::all_of(taps.begin(), taps.end(),
                     [](const std::string& tap) { return tap == "features" || tap == "logits"; });
}

Observation blocked_observation(std::shared_ptr<Workspace> space, const Group& group,
                                const Query& query) {
  at::Tensor logits;
  if (std::find(query.taps.begin(), query.taps.end(), "logits") != query.taps.end())
    logits = at::empty({group.rows(), space->network.classes});
  auto seen = std::make_shared<Seen>(std::move(space), group, query);
  seen->forward(logits);
  Observation answer;
  for (const std::string& tap : query.taps)
    answer.taps[tap] = tap == "logits" ? logits : seen->features();
  answer.state = group.state;
  if (seen->goes_back())
    answer.pullback = [seen](const auto& cotangents) { return seen->pull(cotangents); };
  return answer;
}

}  // namespace retort::nets
