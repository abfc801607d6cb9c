// Losses of self-supervised learning on vectors of two views, with their derivatives in closed
// form.
#pragma once

#include <torch/types.h>

namespace retort::losses {

/// A mean over rows and its derivative by the first argument.
struct Contrast {
  at::Tensor loss;        ///< scalar
  at::Tensor derivative;  ///< [N, D]
};

/// Of `z` [N, D], brought to length 1: cross-entropy of telling its key [N, D] from the queue
/// [Q, D] by products over the temperature (van den Oord et al. 2018). Keys and queue have
/// length 1.
Contrast info_nce(const at::Tensor& z, const at::Tensor& keys, const at::Tensor& queue,
                  double temperature);

/// Minus the cosine between the rows of `p` and of `target` [N, D] (SimSiam: Chen and He, 2021).
Contrast negative_cosine(const at::Tensor& p, const at::Tensor& target);

/// Rows of length 1.
at::Tensor unit_rows(const at::Tensor& z);

}  // namespace retort::losses
