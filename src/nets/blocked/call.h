// What the micro batches of one call share: the groups' tensors, packed weights, and sums.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "nets/blocked/weights.h"
#include "nets/engine.h"
#include "nets/row_lanes.h"

namespace retort::nets {

/// What all calls on a network share. Thread-safe.
struct Workspace {
  explicit Workspace(BlockedNetwork its_network) : network(std::move(its_network)) {}
  const BlockedNetwork network;
  ArenaPool arenas;
  ArenaPool weights;  // apart: memory of a pass would grow to hold them, and theirs to hold a pass
  ArenaPool kept;     // likewise
};

inline const float* floats(const at::Tensor& x) {
  return x.data_ptr<float>();
}

/// A group's contiguous tensors, kept while micro batches point into them.
struct HeldGroup {
  explicit HeldGroup(const Group& group);
  int64_t rows() const { return images.size(0); }
  const float* image(const MicroBatch& batch) const { return floats(images) + offset(batch); }
  /// Where a batch's cotangents of images go in `all`; null where there are none.
  float* place(const at::Tensor& all, const MicroBatch& batch) const;

  at::Tensor theta, images, direction;

 private:
  int64_t offset(const MicroBatch& batch) const;
};

/// The packed weights of a call: one for every theta and direction that its groups have.
class CallWeights {
 public:
  explicit CallWeights(Workspace& space) : space_(space), lease_(space.weights.lease()) {}
  /// The packed weights of `theta`, for going back to `wrt`.
  const PackedWeights& of(const at::Tensor& theta, WithRespectTo wrt);
  /// Packs all of them, on all threads: before the first micro batch.
  void pack();

 private:
  Workspace& space_;
  ArenaPool::Lease lease_;
  std::vector<std::unique_ptr<PackedWeights>> packed_;
};

/// What a call over several groups has: its micro batches, their weights, and the groups' sums.
struct CallFrame {
  CallFrame(Workspace& space, const std::vector<Group>& all, const Query& query);

  /// Sums of all micro batches, in their order, into answers that have `theta` and `loss`.
  template <class Answer>
  void finish(std::vector<Answer>& answers) {
    const std::vector<at::Tensor> thetas = sums.take();
    for (size_t g = 0; g < answers.size(); ++g) {
      answers[g].theta = thetas[g];
      answers[g].loss = at::zeros({});
    }
    for (size_t i = 0; i < losses.size(); ++i) answers[lanes.batches[i].group].loss.add_(losses[i]);
  }

  const Lanes lanes;
  const std::vector<HeldGroup> groups;
  CallWeights weights;
  std::vector<const PackedWeights*> packed, packed_tangent;  // of every micro batch
  const bool wants_theta;                                    // else the sums are empty
  LaneSums sums;
  std::vector<at::Tensor> losses;  // of every micro batch
};

/// Of a micro batch at most; more gain a pass without a way back nothing.
constexpr int64_t kRows = 16;

}  // namespace retort::nets
