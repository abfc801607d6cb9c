// The kinds of layers of a sweep, one by one: dual_layers() strings them together. `p` must outlive
// them; slots are those of their first parameter.
#pragma once

#include <memory>

#include "nets/sequential/dual_layers.h"

namespace retort::nets {

/// z = w * x + b. `biased`: b has an effect.
std::unique_ptr<DualLayer> dual_conv(const Op& op, DualParameters& p, bool biased);

/// o = W f + c; a map is flattened first.
std::unique_ptr<DualLayer> dual_linear(size_t slot, DualParameters& p);

/// y = g n + h. `state`: the slot of the running mean, of batch norm.
std::unique_ptr<DualLayer> dual_norm(NormKind kind, size_t slot, DualParameters& p, size_t state);

/// a = phi(y).
std::unique_ptr<DualLayer> dual_activation(Activation kind);

/// Square windows side by side. The tangent takes the primal's largest value, the first on ties.
std::unique_ptr<DualLayer> dual_pool(Pool kind, int64_t window);

/// The mean over the whole map.
std::unique_ptr<DualLayer> dual_global_average();

}  // namespace retort::nets
