// FRePo's wish for labels that say one class clearly.
#pragma once

#include <torch/types.h>

namespace retort::methods {

/// A term of the loss with its gradient.
struct LabelMargin {
  double loss;
  at::Tensor gradient;  ///< [M, K]
};

/// Less the mean, over rows of labels [M, K], of the largest entry's lead over the next, where it
/// counts up to 1 / K.
LabelMargin label_margin(const at::Tensor& labels);

}  // namespace retort::methods
