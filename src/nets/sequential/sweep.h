// The directional sweep: one forward-over-reverse pass of primal and tangent through a chain, with
// first-order operations only and no autograd graph.
#pragma once

#include <vector>

#include "nets/pass.h"
#include "nets/row_lanes.h"
#include "nets/sequential/dual_layers.h"
#include "retort/nets/layer_builder.h"
#include "retort/nets/network.h"

namespace retort::nets {

/// A network that is a chain.
struct ChainNetwork {
  const std::vector<Step>& steps;
  const Layout& parameters;
  const Layout& state;
  RowLimits limits;
};

constexpr int64_t kSweepRows = 16;  ///< as many rows as fit into caches, about

/// One group of rows with its targets (cross-entropy, hard or soft) and direction [P].
struct SweepPart {
  Part part;
  losses::Targets targets;
  at::Tensor along;
};

/// The loss at the head, backward: cotangents of the logits and of the targets, and <g, v>.
/// q softmax, e. = sum q o., per row weight m: do = m (q sum Y - Y), do. = m sum Y q (o. - e.).
struct DualHead {
  Dual logits;
  at::Tensor loss, targets;  ///< scalar; -m (o. - e.)

  /// `share`: of one row in the mean.
  DualHead(const Dual& o, const losses::Targets& rows, double share);
};

/// Rows begin..begin + count - 1 of targets.
losses::Targets rows_of(const losses::Targets& targets, int64_t begin, int64_t count);

/// `directional` of every part. Rows that do not influence each other are cut into pieces that fit
/// into caches (nets/row_lanes.h).
std::vector<Directional> sweep(const ChainNetwork& network, const std::vector<SweepPart>& parts,
                               Wanted wanted);

}  // namespace retort::nets
