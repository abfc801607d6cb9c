// The two halves of FTD's sharpness-aware update; the second gradient is taken between them.
#pragma once

#include <torch/types.h>

#include "retort/train/trainer.h"

namespace retort::train {

/// theta + e, where the loss is largest nearby to first order; `gradient` is that at theta.
at::Tensor ascent_point(const at::Tensor& theta, const at::Tensor& gradient, const Gsam& flat);

/// The direction that theta is moved against, of the gradients at theta and at theta + e.
at::Tensor gsam_direction(const at::Tensor& gradient, const at::Tensor& nearby, const Gsam& flat);

}  // namespace retort::train
