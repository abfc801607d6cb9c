// Threads that take numbers. No torch here.
#include "data/in_parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace retort::data {

void in_parallel(int64_t begin, int64_t end, int threads,
                 const std::function<void(int64_t)>& work) {
  std::atomic<int64_t> next{begin}, failed{end};
  std::exception_ptr error;
  std::mutex mutex;
  const auto take = [&] {
    for (int64_t i = next++; i < end && i < failed; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (i < failed) {
          failed = i;
          error = std::current_exception();
        }
      }
    }
  };
  const int64_t wanted = threads > 0 ? int64_t{threads} : std::thread::hardware_concurrency();
  const int64_t count = std::min(std::max<int64_t>(wanted, 1), end - begin);
  std::vector<std::thread> workers;
  for (int64_t i = 0; i < count; ++i) workers.emplace_back(take);
  for (std::thread& worker : workers) worker.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace retort::data
