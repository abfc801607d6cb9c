// The linear layer at the end of a ConvNet and the loss behind it, of one micro batch on one
// thread.
#pragma once

#include <torch/types.h>

#include "nets/blocked/weights.h"
#include "nets/sequential/dual_layers.h"
#include "retort/losses/losses.h"

namespace retort::nets {

/// Logits of features [n, F]: f W^T + c.
at::Tensor head(const BlockedNetwork& network, const float* theta, const float* features,
                int64_t rows);

/// Features [n, F] and their tangents.
struct DualFeatures {
  const float *value, *tangent;
};

/// Logits and their tangents: o. = f W.^T + f. W^T + c.
Dual head_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                  const DualFeatures& features, int64_t rows);

/// Adds do^T f and the sums of do to `dtheta` [P], unless it is null; dfeatures [n, F] gets (adds)
/// do W.
void head_back(const BlockedNetwork& network, const float* theta, const float* dlogits,
               const float* features, int64_t rows, float* dtheta, float* dfeatures,
               bool add = false);

/// The same along a direction: `dtheta` and dfeatures get derivatives.
void head_back_tangent(const BlockedNetwork& network, const float* theta, const float* tangent,
                       const Dual& dlogits, const DualFeatures& features, float* dtheta,
                       float* dfeatures);

/// The loss of a micro batch as its share of the group's mean, its logits' cotangent and its
/// targets'.
struct HeadLoss {
  at::Tensor loss, logits, targets;
};
HeadLoss head_loss(const at::Tensor& logits, losses::Targets targets, double share,
                   WithRespectTo wrt);

}  // namespace retort::nets
