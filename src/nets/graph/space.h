// What the calls of the engine share: the plan, memory, weights laid out.
#pragma once

#include "nets/blocked/weights.h"
#include "nets/engine.h"
#include "nets/graph/conv.h"

namespace retort::nets {

/// What all calls on a network share. Thread-safe.
struct GraphSpace {
  Plan plan;
  BlockedNetwork head;  ///< its linear layer
  ArenaPool arenas;
};

inline const float* values_of(const at::Tensor& x) {
  return x.defined() && x.numel() > 0 ? x.data_ptr<float>() : nullptr;
}

inline at::Tensor held(const at::Tensor& x) {
  return x.defined() ? x.detach().contiguous() : x;
}

inline PackedPlan::Back back_to(WithRespectTo wrt) {
  if (wrt.images) return PackedPlan::Back::kImages;
  return wrt.theta ? PackedPlan::Back::kMaps : PackedPlan::Back::kNone;
}

/// A theta, or a direction, as the plan has it, with its weights laid out.
struct GraphWeights {
  GraphWeights(GraphSpace& space, const at::Tensor& plain, WithRespectTo wrt)
      : theta(space.plan.theta.padded(held(plain))),
        lease(space.arenas.lease()),
        packed(space.plan, values_of(theta), back_to(wrt), *lease) {}
  const at::Tensor theta;
  ArenaPool::Lease lease;
  const PackedPlan packed;
};

/// The running statistics that a group's norms take, as the plan has them: frozen ones, or none.
inline at::Tensor frozen_state(const Plan& plan, const Group& group) {
  const bool takes = plan.has_statistics() && group.norm != NormMode::kBatch;
  TORCH_CHECK(!takes || group.state.defined(), "a network with BatchNorm needs its running state");
  if (!takes || group.norm != NormMode::kFrozen) return {};
  return plan.state.padded(held(group.state));
}

/// The rows of a group that a pass takes at once: all where they influence each other.
inline int64_t rows_of_pass(const Plan& plan, const Group& group, const MemoryLimit& memory) {
  const bool coupled = plan.has_statistics() && group.norm != NormMode::kFrozen;
  return coupled ? group.rows() : memory.rows(group.rows());
}

inline Group rows_of_group(const Group& group, int64_t begin, int64_t count) {
  Group rows = group;
  rows.images = group.images.narrow(0, begin, count);
  if (group.targets.values.defined()) rows.targets = rows_of(group.targets, begin, count);
  return rows;
}

}  // namespace retort::nets
