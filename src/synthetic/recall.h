// Recall from addressable memories: any mixture of labels is a query.
#pragma once

#include <torch/types.h>

#include "retort/synthetic/bundle.h"

namespace retort::synthetic {

/// The images [Q r, C, H, W] that queries [Q, classes] recall, in network-input space: row q r + i
/// is y_q^T A_i of every addressing matrix A_i, so that the unit vectors give the images of the
/// set. StateError where the bundle holds no memories.
at::Tensor recall(const Bundle& bundle, const at::Tensor& queries);

}  // namespace retort::synthetic
