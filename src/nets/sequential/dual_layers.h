// The layers of a sequential network with their derivatives along a direction of the parameters.
// `value` is the primal, `tangent` its derivative along the direction; backward, the same of
// cotangents.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "nets/layer_builder.h"
#include "retort/nets/network.h"

namespace retort::nets {

/// A tensor and its tangent. An undefined tangent is zero.
struct Dual {
  at::Tensor value, tangent;
};

/// The parameters of a sequential network, one tensor a slot, and where the product goes.
struct DualParameters {
  std::vector<at::Tensor> theta;    ///< values
  std::vector<at::Tensor> tangent;  ///< the direction
  std::vector<at::Tensor>
      product;                    ///< the answer; layers write theirs, those without effect do not
  std::vector<at::Tensor> state;  ///< running statistics
  NormMode norm = NormMode::kBatch;
};

/// What a cotangent is wanted for below a layer.
enum class Below { kNothing, kTangent, kBoth };

/// One operation. forward() keeps what backward() needs; backward() is called once.
class DualLayer {
 public:
  virtual ~DualLayer() = default;
  virtual Dual forward(const Dual& x) = 0;
  /// Cotangents of the output, both defined, to those of the input as far as `below` asks.
  virtual Dual backward(const Dual& d, Below below) = 0;
};

/// The layers of a sequential network, in order. `p` must outlive them.
std::vector<std::unique_ptr<DualLayer>> dual_layers(const std::vector<Op>& ops, DualParameters& p);

}  // namespace retort::nets
