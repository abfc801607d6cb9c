// The convolutions of a pass: each step has its best way, dealt out to all threads so that bits do
// not depend on their number.
#pragma once

#include <functional>

#include "nets/graph/buffers.h"
#include "nets/graph/plan.h"

namespace retort::nets {

/// Called for images begin..end-1 when their maps are done, while they are in cache, on any thread.
using MapsDone = std::function<void(int64_t begin, int64_t end)>;

/// Floats of a step's weights as its products take them; `turned`: for the way back.
int64_t conv_weights(const PlanStep& step, bool turned);
/// Lays out the weights of all convolutions of a theta, of 1 or 2 kinds (turned where `back`).
class PackedPlan {
 public:
  /// Back to images, or to the first maps only.
  enum class Back { kNone, kMaps, kImages };
  PackedPlan(const Plan& plan, const float* theta, Back back, Arena& arena);
  const float* get(int64_t step, bool turned) const {
    return packed_[to_size(2 * step + (turned ? 1 : 0))];
  }

 private:
  std::vector<const float*> packed_;
};

/// Products of one step on `rows` images.
struct ConvCall {
  const PlanStep& step;
  int64_t rows;
  Buffers& buffers;
  void forward(const float* input, const float* weights, float* map, const MapsDone& done) const;
  /// The map's cotangent to the input's, written over `dinput`.
  void back(const float* dmap, const float* turned, float* dinput) const;
  /// Adds the weight's cotangent to `dweight` [out, in, k, k].
  void weight(const float* input, const float* dmap, float* dweight) const;
};

}  // namespace retort::nets
