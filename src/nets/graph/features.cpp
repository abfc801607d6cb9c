#include "nets/graph/features.h"

#include <algorithm>

namespace retort::nets {
namespace {

/// Calls visit(place in maps, place in features) for every feature.
template <class Visit>
void each_feature(const PlanStep& s, int64_t rows, const Visit& visit) {
  const int64_t positions = s.positions();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < s.real; ++c)
      for (int64_t p = 0; p < positions; ++p)
        visit(n * s.size() + c / kChannels * kChannels * positions + p * kChannels + c % kChannels,
              (n * s.real + c) * positions + p);
}

}  // namespace

void take_features(const PlanStep& step, int64_t rows, const float* maps, float* features) {
  each_feature(step, rows, [&](int64_t from, int64_t to) { features[to] = maps[from]; });
}

void put_features(const PlanStep& step, int64_t rows, const float* features, float* maps) {
  std::fill_n(maps, rows * step.size(), 0.0f);
  each_feature(step, rows, [&](int64_t to, int64_t from) { maps[to] = features[from]; });
}

}  // namespace retort::nets
