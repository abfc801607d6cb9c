// The calls of the engine: a micro batch goes forward, meets the loss, and goes back on one thread.
#include <type_traits>

#include "nets/blocked/factory.h"
#include "nets/blocked/fit.h"
#include "nets/blocked/head.h"
#include "nets/blocked/kept.h"
#include "nets/blocked/observation.h"
#include "nets/blocked/tangent_pass.h"
#include "nets/sequential/dual_head.h"

namespace retort::nets {
namespace {

constexpr const char* kName = "blocked";

/// A micro batch of a call, where it works, and the sum [P] that it adds to, or null.
struct BatchCall {
  const CallFrame& frame;
  size_t index;
  const Group& group;
  Arena& arena;
  float* dtheta;
  const PassValues* kept;  // filled by a gradient, read by a product; null: nothing is kept
  const MicroBatch& batch() const { return frame.lanes.batches[index]; }
  const HeldGroup& held() const { return frame.groups[batch().group]; }
  int64_t rows() const { return batch().rows(); }
  /// Writes the batch's rows of an answer, where they are wanted.
  void put(const at::Tensor& all, const at::Tensor& rows_of_all) const {
    if (all.defined()) all.narrow(0, batch().begin, rows()).copy_(rows_of_all);
  }
};

class BlockedEngine : public Engine {
 public:
  explicit BlockedEngine(BlockedNetwork network)
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
  template <class Answer, class LossOf>
  std::vector<Answer> gather(const std::vector<Group>& groups, const Query& query,
                             const LossOf& loss_of) const;
  HeadLoss there_and_back(const BatchCall& call, BlockedPass& pass, const PassCotangents& into,
                          const Gradient& answer) const;
  PassValues values_of(const BatchCall& call) const;
  at::Tensor gradient_of(const BatchCall& call, const Gradient& answer) const;
  at::Tensor jvp_of(const BatchCall& call, const GradientJvp& answer) const;

  const std::shared_ptr<Workspace> space_;
};

bool BlockedEngine::accepts(const Query& query) const {
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

/// Calls loss_of() for every micro batch, which fills its rows of the answer.
template <class Answer, class LossOf>
std::vector<Answer> BlockedEngine::gather(const std::vector<Group>& groups, const Query& query,
                                          const LossOf& loss_of) const {
  constexpr bool kFirstOrder = std::is_same_v<Answer, Gradient>;
  CallFrame frame(*space_, groups, query);
  std::shared_ptr<const BlockedKept> made;
  const auto* kept = dynamic_cast<const BlockedKept*>(query.kept);
  TORCH_CHECK(!kept || kept->fits(frame.lanes), "a kept pass is of other rows than these");
  if (kFirstOrder && BlockedKept::bytes_of(space_->network, query.rows) <= query.keep_bytes) {
    made = std::make_shared<BlockedKept>(space_, frame);
    kept = made.get();
  }
  std::vector<Answer> answers(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    if (query.wrt.images) answers[g].images = at::empty_like(frame.groups[g].images);
    if (query.wrt.targets) answers[g].targets = at::empty_like(groups[g].targets.values);
    if constexpr (kFirstOrder) {
      answers[g].logits = at::empty({groups[g].rows(), space_->network.classes});
      answers[g].state = groups[g].state;
    }
  }
  each_batch(frame.lanes, [&](size_t i, size_t lane) {
    const size_t g = frame.lanes.batches[i].group;
    const ArenaPool::Lease arena = space_->arenas.lease();
    const at::Tensor sum = frame.sums.of(lane);
    frame.losses[i] = loss_of(
        BatchCall{frame, i, groups[g], *arena, frame.wants_theta ? sum.data_ptr<float>() : nullptr,
                  kept ? &kept->values(i) : nullptr},
        answers[g]);
    frame.sums.done(i, lane);
  });
  frame.finish(answers);
  if constexpr (kFirstOrder) answers.front().kept = std::move(made);
  return answers;
}

std::vector<Gradient> BlockedEngine::gradient(const std::vector<Group>& groups,
                                              const Query& query) const {
  return gather<Gradient>(groups, query, [&](const BatchCall& call, const Gradient& answer) {
    return gradient_of(call, answer);
  });
}

/// A micro batch forward, to the loss, and back; fills its rows of logits and targets' cotangents
/// where `answer` has them.
HeadLoss BlockedEngine::there_and_back(const BatchCall& call, BlockedPass& pass,
                                       const PassCotangents& into, const Gradient& answer) const {
  const BlockedNetwork& network = space_->network;
  const HeldGroup& own = call.held();
  const float* theta = floats(own.theta);
  const int64_t rows = call.rows();
  const float* features = pass.forward(own.image(call.batch()));
  const at::Tensor logits = head(network, theta, features, rows);
  HeadLoss loss = head_loss(logits, rows_of(call.group.targets, call.batch().begin, rows),
                            static_cast<double>(rows) / static_cast<double>(own.rows()),
                            {.targets = answer.targets.defined()});
  float* dfeatures = call.arena.take(rows * network.features);
  head_back(network, theta, floats(loss.logits), features, rows, into.theta, dfeatures);
  pass.backward(dfeatures, into);
  call.put(answer.logits, logits);
  call.put(answer.targets, loss.targets);
  return loss;
}

at::Tensor BlockedEngine::gradient_of(const BatchCall& call, const Gradient& answer) const {
  const PassTools tools{space_->network, call.arena};
  const PackedWeights& weights = *call.frame.packed[call.index];
  BlockedPass pass = call.kept
                         ? BlockedPass(tools, weights, call.rows(), Follows::kTangents, *call.kept)
                         : BlockedPass(tools, weights, call.rows(), Follows::kBackward);
  const PassCotangents into{call.dtheta, call.held().place(answer.images, call.batch())};
  return there_and_back(call, pass, into, answer).loss;
}

/// The same values as a gradient keeps.
PassValues BlockedEngine::values_of(const BatchCall& call) const {
  if (call.kept) return *call.kept;
  BlockedPass pass({space_->network, call.arena}, *call.frame.packed[call.index], call.rows(),
                   Follows::kTangents);
  there_and_back(call, pass, {}, {});
  return pass.values();
}

std::vector<GradientJvp> BlockedEngine::gradient_jvp(const std::vector<Group>& groups,
                                                     const Query& query) const {
  return gather<GradientJvp>(groups, query, [&](const BatchCall& call, const GradientJvp& answer) {
    return jvp_of(call, answer);
  });
}

at::Tensor BlockedEngine::jvp_of(const BatchCall& call, const GradientJvp& answer) const {
  const BlockedNetwork& network = space_->network;
  const HeldGroup& own = call.held();
  const float *theta = floats(own.theta), *tangent = floats(own.direction);
  const int64_t rows = call.rows();
  const PassValues values = values_of(call);
  TangentPass pass({network, call.arena}, *call.frame.packed[call.index],
                   *call.frame.packed_tangent[call.index], rows, values);
  const DualFeatures features{values.features, pass.forward()};
  DualHead found(head_tangent(network, theta, tangent, features, rows),
                 rows_of(call.group.targets, call.batch().begin, rows),
                 1.0 / static_cast<double>(own.rows()));
  found.logits = {found.logits.value.contiguous(), found.logits.tangent.contiguous()};
  float* dfeatures = call.arena.take(rows * network.features);
  head_back_tangent(network, theta, tangent, found.logits, features, call.dtheta, dfeatures);
  pass.backward(dfeatures, {call.dtheta, own.place(answer.images, call.batch())});
  call.put(answer.targets, found.targets);
  return found.loss;
}

}  // namespace

EngineEntry about_blocked() {
  return {kName, true,
          "Winograd's convolutions on Highway: ConvNets on a CPU, several times faster"};
}

std::shared_ptr<const Engine> make_blocked(const std::shared_ptr<const Definition>& definition) {
  auto network = fit_blocks(*definition);
  return network ? std::make_shared<BlockedEngine>(std::move(*network)) : nullptr;
}

}  // namespace retort::nets
