// The steps that a network's operations make: convolutions, joins of what norms make of their maps
// and of shortcuts, pools, the mean over the map, and the linear layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nets/engine.h"
#include "nets/graph/padding.h"

namespace retort::nets {

constexpr int64_t kChannels = 16;  ///< of a block of a map [N, C / 16, H, W, 16]

/// What a join adds up: a value, or a map under a norm: a convolution's, or a pool's that nothing
/// else takes. Offsets are in the plan's theta and state; -1 where there is none.
struct PlanTerm {
  int64_t step = -1;  ///< that makes it
  bool map = false;   ///< which its cotangent is written over
  NormKind norm = NormKind::kNone;
  int64_t gain = -1, shift = -1, bias = -1, mean = -1, variance = -1;
  std::string name = {};  ///< of the norm
};

struct PlanStep {
  enum class Kind { kConv, kJoin, kAffine, kPool, kAverage } kind = Kind::kConv;
  int64_t from = -1;  ///< the step that it takes; -1: the images
  Sides in = {}, out = {};
  int64_t real = 0;  ///< channels that are not padding
  Convolution conv = {};
  int64_t weight = -1;               ///< kConv, kAffine (the gain): its offset in theta
  int64_t shift = -1;                ///< kAffine
  std::vector<PlanTerm> terms = {};  ///< kJoin: one or two
  bool relu = false;                 ///< kJoin, kAffine
  bool largest = false;              ///< kPool
  int64_t uses = 0;                  ///< steps that take it, the linear layer among them
  int64_t size() const { return out.channels * out.height * out.width; }
  int64_t positions() const { return out.height * out.width; }
  int64_t input_size() const { return in.channels * in.height * in.width; }
};

/// The steps in order; the linear layer takes the last one's values. Offsets are those of the
/// padded layouts.
struct Plan {
  std::vector<PlanStep> steps;
  int64_t classes = 0, features = 0;
  int64_t head_weight = 0, head_bias = 0;
  PaddedLayout theta, state;
  Sides images;
  bool has_statistics() const { return state.size() > 0; }
};

/// Empty where an operation is not among the engine's.
std::optional<Plan> make_plan(const Definition& definition);

}  // namespace retort::nets
