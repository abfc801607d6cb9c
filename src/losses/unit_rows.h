// Rows brought to norm 1, and back from their derivatives.
#pragma once

#include <torch/types.h>

namespace retort::losses {

/// [N, F]; rows below a norm of 1e-12 are divided by that.
struct UnitRows {
  explicit UnitRows(const at::Tensor& rows)
      : norms(rows.norm(2, 1, true).clamp_min(1e-12)), values(rows / norms) {}
  /// From cotangents of the values to those of the rows.
  at::Tensor pullback(const at::Tensor& d) const {
    return (d - values * (values * d).sum(1, true)) / norms;
  }
  at::Tensor norms, values;
};

}  // namespace retort::losses
