// Memory that the passes of an engine work in, used again from step to step. No torch here.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace retort::nets {

/// Memory that is handed out in pieces and taken back at once: nothing is allocated from the second
/// use on. Aligned for vectors.
class Arena {
 public:
  float* take(int64_t count);
  /// The next so many floats come from one piece. Only of an arena that nothing was taken from.
  void reserve(int64_t count);
  /// Memory that the next scratch() may hand out again.
  float* scratch(int64_t count);
  void reset();

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  using Memory = std::unique_ptr<float[], Free>;
  static Memory allocate(int64_t count);
  void add_block(int64_t count);
  std::vector<Memory> blocks_;
  Memory scratch_;
  int64_t scratch_size_ = 0;
  int64_t capacity_ = 0, used_ = 0, total_ = 0;  // of the last block; of all since reset()
};

/// Arenas that wait for their next use.
class ArenaPool {
 public:
  class Lease {
   public:
    Lease(ArenaPool& pool, std::unique_ptr<Arena> arena) : pool_(&pool), arena_(std::move(arena)) {}
    Lease(Lease&&) = default;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();
    Arena& operator*() const { return *arena_; }

   private:
    ArenaPool* pool_;
    std::unique_ptr<Arena> arena_;
  };
  Lease lease();

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Arena>> free_;
};

}  // namespace retort::nets
