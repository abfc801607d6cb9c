// The calls of the engine: a micro batch goes forward, meets the loss, and goes back on one thread.
#include <fmt/format.h>

#include "nets/onednn/factory.h"
#include "nets/onednn/fit.h"
#include "nets/onednn/head.h"
#include "nets/onednn/observation.h"
#include "nets/onednn/primitive.h"
#include "nets/onednn/tangent_pass.h"
#include "nets/sequential/dual_head.h"

namespace retort::nets {
namespace {

constexpr const char* kName = "onednn";

class OnednnEngine : public Engine {
 public:
  explicit OnednnEngine(BlockedNetwork network)
      : space_(std::make_shared<Workspace>(std::move(network))) {}

  std::string name() const override { return kName; }
  bool accepts(const Query& query) const override;
  Observation observe(const Group& group, const Query& query) const override {
    return blocked_observation(space_, group, query);
  }
  std::vector<Gradient> gradient(const std::vector<Group>& groups,
                                 const Query& query) const override;
  std::vector<GradientJvp> gradient_jvp(const std::vector<Group>& groups,
                                        const Query& query) const override;

 private:
  void gradient_of(size_t batch, int64_t lane, CallFrame& frame, const Group& group,
                   const Gradient& answer) const;
  void jvp_of(size_t batch, int64_t lane, CallFrame& frame, const Group& group,
              const GradientJvp& answer) const;

  const std::shared_ptr<Workspace> space_;
};

bool OnednnEngine::accepts(const Query& query) const {
  if (!query.device.is_cpu() || query.type != at::kFloat || query.rows == 0) return false;
  switch (query.work) {
    case Work::kObserve:
      return are_blocked_taps(query.taps);
    case Work::kGradient:
      return true;
    case Work::kGradientJvp:
      return query.loss == losses::Kind::kCrossEntropy;
  }
  return false;
}

/// Answers with room for cotangents of images and targets.
template <class Answer>
std::vector<Answer> empty_answers(const CallFrame& frame, const std::vector<Group>& groups,
                                  WithRespectTo wrt) {
  std::vector<Answer> answers(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    if (wrt.images) answers[g].images = at::empty_like(frame.groups[g].images);
    if (wrt.targets) answers[g].targets = at::empty_like(groups[g].targets.values);
  }
  return answers;
}

std::vector<Gradient> OnednnEngine::gradient(const std::vector<Group>& groups,
                                             const Query& query) const {
  CallFrame frame(*space_, groups, query);
  auto answers = empty_answers<Gradient>(frame, groups, query.wrt);
  for (size_t g = 0; g < groups.size(); ++g) {
    answers[g].logits = at::empty({groups[g].rows(), space_->network.classes});
    answers[g].state = groups[g].state;
  }
  each_batch(frame.lanes, [&](size_t i, int64_t lane) {
    const size_t g = frame.lanes.batches[i].group;
    gradient_of(i, lane, frame, groups[g], answers[g]);
  });
  frame.finish(answers);
  return answers;
}

void OnednnEngine::gradient_of(size_t i, int64_t lane, CallFrame& frame, const Group& group,
                               const Gradient& answer) const {
  const BlockedNetwork& network = space_->network;
  const MicroBatch& batch = frame.lanes.batches[i];
  const HeldGroup& own = frame.groups[batch.group];
  const float* theta = floats(own.theta);
  const int64_t count = batch.rows();
  float* dtheta = frame.sums.of(lane).data_ptr<float>();
  const ArenaPool::Lease arena = space_->arenas.lease();
  BlockedPass pass({network, space_->plans, *arena}, *frame.packed[i], count, true);
  const float* features = pass.forward(own.image(batch));
  const at::Tensor logits = head(network, theta, features, count);
  const HeadLoss loss = head_loss(logits, rows_of(group.targets, batch.begin, count),
                                  static_cast<double>(count) / static_cast<double>(own.rows()),
                                  answer.targets.defined());
  float* dfeatures = (*arena).take(count * network.features);
  head_back(network, theta, floats(loss.logits), features, count, dtheta, dfeatures);
  pass.backward(dfeatures, {dtheta, own.place(answer.images, batch)});
  answer.logits.narrow(0, batch.begin, count).copy_(logits);
  if (answer.targets.defined()) answer.targets.narrow(0, batch.begin, count).copy_(loss.targets);
  frame.losses[i] = loss.loss;
  frame.sums.done(i, lane);
}

std::vector<GradientJvp> OnednnEngine::gradient_jvp(const std::vector<Group>& groups,
                                                    const Query& query) const {
  CallFrame frame(*space_, groups, query);
  auto answers = empty_answers<GradientJvp>(frame, groups, query.wrt);
  each_batch(frame.lanes, [&](size_t i, int64_t lane) {
    const size_t g = frame.lanes.batches[i].group;
    jvp_of(i, lane, frame, groups[g], answers[g]);
  });
  frame.finish(answers);
  return answers;
}

void OnednnEngine::jvp_of(size_t i, int64_t lane, CallFrame& frame, const Group& group,
                          const GradientJvp& answer) const {
  const BlockedNetwork& network = space_->network;
  const MicroBatch& batch = frame.lanes.batches[i];
  const HeldGroup& own = frame.groups[batch.group];
  const float *theta = floats(own.theta), *tangent = floats(own.direction);
  const int64_t count = batch.rows();
  float* dtheta = frame.sums.of(lane).data_ptr<float>();
  const ArenaPool::Lease arena = space_->arenas.lease();
  TangentPass pass({network, space_->plans, *arena}, *frame.packed[i], *frame.packed_tangent[i],
                   count);
  const float* features = pass.forward(own.image(batch));
  DualHead found(head_tangent(network, theta, tangent, features, count),
                 rows_of(group.targets, batch.begin, count), 1.0 / static_cast<double>(own.rows()));
  found.logits = {found.logits.value.contiguous(), found.logits.tangent.contiguous()};
  float* dfeatures = (*arena).take(2 * count * network.features);
  head_back_tangent(network, theta, tangent, found.logits, features, dtheta, dfeatures);
  pass.backward(dfeatures, {dtheta, own.place(answer.images, batch)});
  if (answer.targets.defined()) answer.targets.narrow(0, batch.begin, count).copy_(found.targets);
  frame.losses[i] = found.loss;
  frame.sums.done(i, lane);
}

}  // namespace

EngineEntry about_onednn() {
  const std::string version = fmt::format("oneDNN {}.{}", DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR);
  if (channel_block() == 0)
    return {kName, false,
            version + " finds no AVX2 on this processor: ConvNets run at libtorch's speed"};
  const char* how = channel_block() < 16 ? "by direct convolutions (no AVX-512 here)"
                    : kDnnlHasWinograd
                        ? "with Winograd on AVX-512, several times faster"
                        : "by direct convolutions (Winograd in float32 left oneDNN with version 3)";
  return {kName, true, fmt::format("{} and Highway: ConvNets on a CPU, {}", version, how)};
}

std::shared_ptr<const Engine> make_onednn(const std::shared_ptr<const Definition>& definition) {
  auto network = fit_blocks(*definition);
  return network ? std::make_shared<OnednnEngine>(std::move(*network)) : nullptr;
}

}  // namespace retort::nets
