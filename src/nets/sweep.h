// The directional sweep: one forward-over-reverse pass of primal and tangent through a chain, with
// first-order operations only and no autograd graph.
#pragma once

#include <vector>

#include "nets/pass.h"
#include "retort/nets/forward.h"
#include "retort/nets/network.h"

namespace retort::nets {

/// A network that is a chain.
struct ChainNetwork {
  const std::vector<Step>& steps;
  const Layout& parameters;
  const Layout& state;
  int64_t rows;  ///< of a piece, at most
};

constexpr int64_t kSweepRows = 16;  ///< as many rows as fit into caches, about

/// One group of rows with its targets (cross-entropy, hard or soft) and direction [P].
struct SweepPart {
  Part part;
  losses::Targets targets;
  at::Tensor along;
};

/// `directional` of every part. Rows that do not influence each other are cut into pieces that fit
/// into caches, and the pieces are dealt out to the threads; their sums are taken in row order.
std::vector<Directional> sweep(const ChainNetwork& network, const std::vector<SweepPart>& parts,
                               Wanted wanted);

}  // namespace retort::nets
