// Flat vectors and their slots.
#pragma once

#include <vector>

#include "retort/nets/network.h"

namespace retort::nets {

/// A flat vector cut into its slots, without copying.
std::vector<at::Tensor> unflatten(const Layout& layout, const at::Tensor& flat);
/// The inverse of unflatten; undefined pieces are zeros like `like`. Without a graph.
at::Tensor flatten(const std::vector<at::Tensor>& pieces, const std::vector<at::Tensor>& like);
/// x as a contiguous tensor without a graph, or zeros where it is undefined.
at::Tensor or_zeros(const at::Tensor& x, const at::Tensor& like);

}  // namespace retort::nets
