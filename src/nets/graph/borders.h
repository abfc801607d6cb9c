// Where plain images become blocked maps, and the last map plain features: back and forth, an image
// at a time.
#pragma once

#include "nets/graph/plan.h"

namespace retort::nets {

/// An image [C, H, W] to the patches of a kUnfold step, [channels / 16, positions, 16].
void unfold_image(const PlanStep& step, const float* image, float* patches);
/// The patches' cotangent to the image's, written over `image`.
void fold_image(const PlanStep& step, const float* patches, float* image);

/// Maps [rows, channels / 16, positions, 16] to features [rows, real, positions], and back.
void take_features(const PlanStep& step, int64_t rows, const float* maps, float* features);
void put_features(const PlanStep& step, int64_t rows, const float* features, float* maps);

}  // namespace retort::nets
