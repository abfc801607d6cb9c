// Several trainings together: one student a thread where that is faster than all threads for one.
#include "train/train_many.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "core/sizes.h"
#include "retort/core/device.h"
#include "retort/train/trainer.h"

namespace retort::train {
namespace {

int64_t largest_batch(const std::vector<Student>& students, const TrainOptions& options) {
  int64_t rows = 0;
  for (const Student& student : students) rows = std::max(rows, student.source->size());
  return std::min(rows, options.batch_size);
}

/// The same callbacks with every call under one lock.
Callbacks locked(const Callbacks& callbacks, std::mutex& mutex) {
  Callbacks one = callbacks;
  if (callbacks.epoch)
    one.epoch = [&](const Epoch& epoch) {
      const std::lock_guard<std::mutex> guard(mutex);
      callbacks.epoch(epoch);
    };
  if (callbacks.batch)
    one.batch = [&](const std::vector<int64_t>& rows, const at::Tensor& logits) {
      const std::lock_guard<std::mutex> guard(mutex);
      callbacks.batch(rows, logits);
    };
  return one;
}

/// Runs work(0..count-1) on `workers` threads, each on one thread of libtorch and BLAS. The error
/// of the lowest item that failed is thrown again: items start in order, so it is always the same
/// one.
void in_parallel(int64_t count, int64_t workers, const std::function<void(int64_t)>& work) {
  std::vector<std::exception_ptr> errors(to_size(count));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  const auto loop = [&] {
    const ThreadScope one(1);
    while (!failed) {
      const int64_t item = next++;
      if (item >= count) return;
      try {
        work(item);
      } catch (...) {
        errors[to_size(item)] = std::current_exception();
        failed = true;
      }
    }
  };
  // BLAS keeps one thread count for the whole process: held here, it is put back only when all
  // workers are done.
  const ThreadScope one(1);
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < workers; ++i) threads.emplace_back(loop);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace

int64_t students_at_once(int64_t students, int64_t rows, int64_t threads) {
  // Two threads make a step of 16 images 1.2 to 1.3 times faster (ConvNet of width 128), and each
  // further one is taken to add as much: side by side wins where it keeps more threads busy than
  // that. Larger batches use all threads well, and each student holds its own activations, 0.6 GB
  // at 256 images.
  constexpr double kGainOfAThread = 0.3;
  constexpr int64_t kSmallBatch = 128;
  if (students < 2 || threads < 2 || rows > kSmallBatch) return 1;
  const int64_t workers = std::min(students, threads);
  const int64_t rounds = (students + workers - 1) / workers;
  const double together = static_cast<double>(students) / static_cast<double>(rounds);
  return together > 1 + kGainOfAThread * static_cast<double>(threads - 1) ? workers : 1;
}

std::vector<ModelState> train_many(const nets::Network& network,
                                   const std::vector<Student>& students,
                                   const TrainOptions& options, const TrainSeed& seed,
                                   at::Device device, const Callbacks& callbacks) {
  const auto count = std::ssize(students);
  std::vector<ModelState> trained(students.size());
  const auto train_one = [&](int64_t i, const Callbacks& its_callbacks) {
    trained[to_size(i)] =
        train(network, students[to_size(i)], options, seed, device, its_callbacks);
  };
  const int64_t workers =
      device.is_cpu()
          ? students_at_once(count, largest_batch(students, options), at::get_num_threads())
          : 1;
  if (workers > 1) {
    std::mutex mutex;
    const Callbacks guarded = locked(callbacks, mutex);
    in_parallel(count, workers, [&](int64_t i) { train_one(i, guarded); });
  } else {
    for (int64_t i = 0; i < count; ++i) train_one(i, callbacks);
  }
  return trained;
}

}  // namespace retort::train
