// Progress of a reading by several threads. No torch here.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "retort/core/progress.h"

namespace retort::data {

/// How far a reading by several threads is; shown once it has taken some seconds.
class ReadingProgress {
 public:
  ReadingProgress(const ProgressStyle& style, const char* doing, int64_t total)
      : style_(style), doing_(doing), total_(total) {}

  void one_more() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++done_;
    constexpr std::chrono::seconds kShort{2};
    if (!shown_ && std::chrono::steady_clock::now() - begin_ > kShort)
      shown_.emplace(style_, doing_, total_, done_);
    if (shown_) shown_->update(done_);
  }

 private:
  ProgressStyle style_;
  const char* doing_;
  int64_t total_, done_ = 0;
  std::optional<Progress> shown_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
};

}  // namespace retort::data
