// Counts the loops that are on the way to a safe point. No torch here.
#include "core/safe_point.h"

#include <atomic>

namespace retort {
namespace {

std::atomic<int> ahead{0};  // what a signal handler can reach

}  // namespace

SafePointAhead::SafePointAhead() {
  ++ahead;
}
SafePointAhead::~SafePointAhead() {
  --ahead;
}
bool safe_point_ahead() {
  return ahead > 0;
}

}  // namespace retort
