// Cross-entropy, hard or soft, at the end of a sweep.
#pragma once

#include "nets/engine.h"
#include "nets/sequential/dual_layers.h"

namespace retort::nets {

/// The loss at the head, backward: cotangents of the logits and of the targets, and <g, v>.
/// q softmax, e. = sum q o., per row weight m: do = m (q sum Y - Y), do. = m sum Y q (o. - e.).
struct DualHead {
  Dual logits;
  at::Tensor loss, targets;  ///< scalar; -m (o. - e.)

  /// `share`: of one row in the mean.
  DualHead(const Dual& o, const losses::Targets& rows, double share);
};

}  // namespace retort::nets
