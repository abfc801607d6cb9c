// One forward pass of a group of rows through any architecture, recorded by autograd.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nets/engine.h"

namespace retort::nets {

/// What a pass should keep.
struct PassKeeps {
  WithRespectTo wrt = {};  ///< graphs to theta and images
  bool second_order = false;
  std::vector<std::string> taps = {};
};

/// A pass with its leaves.
struct Pass {
  std::vector<at::Tensor> theta;  ///< one leaf a slot: cheaper than one leaf in many views
  at::Tensor images;              ///< leaf
  at::Tensor logits;
  std::map<std::string, at::Tensor> taps;  ///< with their graph
  at::Tensor state;                        ///< new running state [S]
};

/// A leaf on the same memory.
at::Tensor leaf(const at::Tensor& x, bool requires_grad);

Pass run_pass(const Definition& network, const Group& group, const PassKeeps& keep);

}  // namespace retort::nets
