// Memory of a pass, used again within it, and work dealt out to threads.
#pragma once

#include <ATen/Parallel.h>

#include <atomic>
#include <cstdint>
#include <map>

#include "core/parallel_for.h"
#include "core/sizes.h"
#include "nets/blocked/arena.h"

namespace retort::nets {

/// Pieces of an arena that can be given back before the pass ends.
class Buffers {
 public:
  explicit Buffers(Arena& arena) : arena_(arena) {}
  float* take(int64_t count) {
    const auto fits = free_.lower_bound(count);
    if (fits == free_.end() || fits->first > 2 * count) {
      float* memory = arena_.take(count);
      sizes_[memory] = count;
      return memory;
    }
    float* memory = fits->second;
    free_.erase(fits);
    return memory;
  }
  void give(float* memory) {
    if (memory) free_.emplace(sizes_.at(memory), memory);
  }

 private:
  Arena& arena_;
  std::multimap<int64_t, float*> free_;
  std::map<const float*, int64_t> sizes_;
};

inline int64_t workers() {
  return std::max(1, at::get_num_threads());
}

/// Calls work(item, worker) for 0..count-1; a worker takes the next item when it is done with one.
template <class Work>
void share_out(int64_t count, const Work& work) {
  std::atomic<int64_t> next{0};
  parallel_for(std::min(count, workers()), [&](int64_t worker) {
    for (int64_t item = next++; item < count; item = next++) work(item, worker);
  });
}

}  // namespace retort::nets
