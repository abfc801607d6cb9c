// Random views of images as contrastive learning draws them (MoCo v2: Chen et al. 2020), each image
// with parameters of its own, on pixels in [0, 1].
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "retort/core/random.h"

namespace retort::augment {

/// What a view may do to an image; probabilities and ranges are those of MoCo v2.
struct MocoViewOptions {
  double lowest_area = 0.2;  ///< of the part that is cut out and resized
  double jitter = 0.8;       ///< probability of a change of colours
  double brightness = 0.4, contrast = 0.4, saturation = 0.4;  ///< factors in 1 - x to 1 + x
  double hue = 0.1;   ///< shift of up to this share of a turn
  double grey = 0.2;  ///< probability
  double blur = 0.5;  ///< probability of a Gaussian of deviation 0.1 to 2, from 96 pixels on only
  double flip = 0.5;  ///< probability
};

/// One view of each of `pixels` [N, C, H, W], float32 in [0, 1]; the same shape. Where C is not 3
/// there is no saturation, hue and grey. Unlike torchvision's, colour changes come in one order.
at::Tensor moco_views(const at::Tensor& pixels, const MocoViewOptions& options,
                      RandomStream& stream);

/// Pixels with the hue of each image turned by `turns` [N], in [0, 1) or below 0; [N, 3, H, W].
at::Tensor turn_hue(const at::Tensor& pixels, const at::Tensor& turns);

}  // namespace retort::augment
