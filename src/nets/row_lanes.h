// How the rows of a call are cut and dealt out to threads, and how their sums meet. One rule for
// every engine: the cut of a group depends on its own number of rows and on the memory limit, never
// on the groups beside it or on the number of threads, and sums are taken in one order. So a group
// gives the same bits alone, in a batch, and on any number of threads.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <vector>

#include "core/parallel_for.h"
#include "core/sizes.h"
#include "retort/core/device.h"

namespace retort::nets {

/// Rows begin..end-1 of a group.
struct MicroBatch {
  size_t group;
  int64_t begin, end;
  int64_t rows() const { return end - begin; }
};

/// Memory that passes may take.
struct MemoryLimit {
  int64_t bytes = 0;            ///< for passes and callers; 0: no limit
  int64_t bytes_per_image = 0;  ///< that a pass with a graph takes
  /// The rows that a pass may have, at most `wanted`; 0 where not one fits.
  int64_t rows(int64_t wanted) const;
  /// Bytes for callers; a very large number without limit.
  int64_t spare() const;
};

/// The size of micro batches, and how many lanes may be in work at a time.
struct RowLimits {
  int64_t rows;   ///< of a batch, at most
  int64_t lanes;  ///< at a time, at least one
};

/// Batches of at most `wanted` rows, and as many lanes at a time as the limit holds.
RowLimits row_limits(const MemoryLimit& memory, int64_t wanted);

/// Batches in order, and the lanes they make: lane l has the batches edges[l] up to edges[l + 1],
/// all of one group. One thread takes a lane at a time.
struct Lanes {
  std::vector<MicroBatch> batches;
  std::vector<size_t> edges{0};
  int64_t at_once = 1;
  size_t count() const { return edges.size() - 1; }
  size_t group(size_t lane) const { return batches[edges[lane]].group; }
};

/// Cuts a group's rows into lanes of about as many rows, and lanes into batches. A group whose rows
/// influence each other (`whole`, one flag a group, or empty for none) is one batch.
Lanes cut_rows(const std::vector<int64_t>& sizes, const RowLimits& limits,
               const std::vector<bool>& whole = {});

/// Calls work(i, lane) for every batch i, each lane on a thread that is told that it works alone. A
/// single batch has all threads.
template <class Work>
void each_batch(const Lanes& lanes, const Work& work) {
  const auto lane = [&](int64_t number) {
    const SingleThreadScope alone;
    const at::NoGradGuard no_graph;
    const size_t l = to_size(number);
    for (size_t i = lanes.edges[l]; i < lanes.edges[l + 1]; ++i) work(i, l);
  };
  const int64_t count = std::ssize(lanes.edges) - 1;
  parallel_for(count, lane, (count + lanes.at_once - 1) / lanes.at_once);
}

/// Sums [P] of groups. Each lane adds into a vector of its own; when a group's last lane is done
/// its vectors are added up in order and freed.
class LaneSums {
 public:
  LaneSums(const Lanes& lanes, size_t groups, at::Tensor like);
  /// The vector of a lane, zeros at its first call.
  at::Tensor of(size_t lane);
  /// To be called after every batch, with the number of the batch.
  void done(size_t batch, size_t lane);
  /// The sum of every group. Called once.
  std::vector<at::Tensor> take() { return std::move(answers_); }

 private:
  const Lanes& lanes_;
  const at::Tensor like_;
  std::mutex mutex_;
  std::vector<at::Tensor> sums_;     // of every lane
  std::vector<int64_t> left_;        // lanes of every group that are not done
  std::vector<at::Tensor> answers_;  // of every group
};

}  // namespace retort::nets
