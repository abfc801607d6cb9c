// Where the last map becomes plain features, and back.
#pragma once

#include "nets/graph/plan.h"

namespace retort::nets {

/// Maps [rows, channels / 16, positions, 16] to features [rows, real, positions], and back.
void take_features(const PlanStep& step, int64_t rows, const float* maps, float* features);
void put_features(const PlanStep& step, int64_t rows, const float* features, float* maps);

}  // namespace retort::nets
