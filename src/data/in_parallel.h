// Work on numbered things, dealt out to threads. No torch here.
#pragma once

#include <cstdint>
#include <functional>

namespace retort::data {

/// Calls work(i) for begin to end - 1 on `threads` threads (0: all). The numbers are taken in
/// order; after an exception no more are, and the first in order is thrown, whatever the threads
/// do.
void in_parallel(int64_t begin, int64_t end, int threads, const std::function<void(int64_t)>& work);

}  // namespace retort::data
