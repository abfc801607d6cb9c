// Asking a long run to stop at the next safe point.
#pragma once

#include <atomic>

namespace retort {

/// Set from a signal handler, read by loops: they write a checkpoint and return.
class StopFlag {
 public:
  void request() { requested_.store(true, std::memory_order_relaxed); }
  bool requested() const { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
};

}  // namespace retort
