// No torch here.
#include "nets/blocked/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/sizes.h"

namespace retort::nets {
namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line and the widest vector
constexpr int64_t kHugePage = 2 << 20;
constexpr int64_t kFloat = sizeof(float);

}  // namespace

void Arena::Free::operator()(float* memory) const {
  std::free(memory);
}

Arena::Memory Arena::allocate(int64_t count) {
  const int64_t bytes = std::max(count * kFloat, kAlignment);
  const int64_t step = bytes >= kHugePage ? kHugePage : kAlignment;
  const size_t size = to_size((bytes + step - 1) / step * step);
  void* memory = std::aligned_alloc(to_size(step), size);
  if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (step == kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // Winograd strides over megabytes
#endif
  return Memory(static_cast<float*>(memory));
}

void Arena::add_block(int64_t count) {
  blocks_.push_back(allocate(count));
  capacity_ = count;
  used_ = 0;
}

void Arena::reserve(int64_t count) {
  if (capacity_ >= count) return;
  blocks_.clear();
  add_block(count);
}

float* Arena::take(int64_t count) {
  constexpr int64_t kStep = kAlignment / kFloat;
  count = (count + kStep - 1) / kStep * kStep;
  total_ += count;
  if (blocks_.empty() || used_ + count > capacity_) add_block(count);
  float* memory = blocks_.back().get() + used_;
  used_ += count;
  return memory;
}

float* Arena::scratch(int64_t count) {
  if (count > scratch_size_) {
    scratch_.reset();
    scratch_ = allocate(count);
    scratch_size_ = count;
  }
  return scratch_.get();
}

void Arena::reset() {
  if (blocks_.size() > 1) {  // next time in one
    blocks_.clear();
    add_block(total_);
  }
  used_ = total_ = 0;
}

ArenaPool::Lease::~Lease() {
  if (!arena_) return;
  arena_->reset();
  const std::lock_guard<std::mutex> guard(pool_->mutex_);
  pool_->free_.push_back(std::move(arena_));
}

ArenaPool::Lease ArenaPool::lease() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (free_.empty()) return {*this, std::make_unique<Arena>()};
  std::unique_ptr<Arena> arena = std::move(free_.back());
  free_.pop_back();
  return {*this, std::move(arena)};
}

}  // namespace retort::nets
