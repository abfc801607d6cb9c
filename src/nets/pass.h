// One forward pass of one group of rows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "retort/nets/network.h"

namespace retort::nets {

/// One group's share of a call.
struct Part {
  at::Tensor theta;   ///< [P]
  at::Tensor state;   ///< [S]
  at::Tensor images;  ///< [n, C, H, W]
  NormMode norm = NormMode::kBatch;
};

/// A group of rows with what a gradient compares them with.
struct GradientPart {
  Part part;
  losses::Targets targets;
};

/// True where the rows of a part influence each other: batch statistics.
inline bool couples(const Layout& state, const Part& part) {
  return state.size > 0 && part.norm != NormMode::kFrozen;
}

/// What a pass should keep.
struct Keep {
  bool theta = false;   ///< a graph to theta
  bool images = false;  ///< a graph to the images
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

/// A flat vector cut into its slots, without copying.
std::vector<at::Tensor> cut(const Layout& layout, const at::Tensor& flat);
/// The inverse of cut; undefined pieces are zeros like `like`.
at::Tensor joined(const std::vector<at::Tensor>& pieces, const std::vector<at::Tensor>& like);

}  // namespace retort::nets
