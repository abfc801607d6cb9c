#include "nets/row_lanes.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

namespace retort::nets {
namespace {

constexpr int64_t kCallersShare = 4;  // a quarter of the memory is for what callers keep
constexpr int64_t kMostLanes = 8;     ///< of a group: so many threads can work on it
constexpr int64_t kLeastRows = 5;     ///< of a lane, from which Winograd's tiles of an 8x8 map pay

int64_t ceiling(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

int64_t MemoryLimit::rows(int64_t wanted) const {
  if (bytes == 0) return wanted;
  const int64_t for_passes = std::max<int64_t>(bytes, 0) / kCallersShare * (kCallersShare - 1);
  return std::min(wanted, for_passes / std::max<int64_t>(bytes_per_image, 1));
}

int64_t MemoryLimit::spare() const {
  return bytes == 0 ? std::numeric_limits<int64_t>::max() : bytes / kCallersShare;
}

RowLimits row_limits(const MemoryLimit& memory, int64_t wanted) {
  const int64_t threads = std::max(1, at::get_num_threads());
  const int64_t rows = std::max<int64_t>(1, memory.rows(wanted));
  return {rows, std::max<int64_t>(1, memory.rows(rows * threads) / rows)};
}

Lanes cut_rows(const std::vector<int64_t>& sizes, const RowLimits& limits,
               const std::vector<bool>& whole) {
  Lanes all;
  all.at_once = std::max<int64_t>(limits.lanes, 1);
  for (size_t p = 0; p < sizes.size(); ++p) {
    const int64_t rows = sizes[p];
    const bool one = !whole.empty() && whole[p];
    const int64_t lanes =
        one ? 1 : std::clamp(rows / kLeastRows, std::min<int64_t>(rows, 2), kMostLanes);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const int64_t begin = rows * lane / lanes, count = rows * (lane + 1) / lanes - begin;
      const int64_t batches = one ? 1 : ceiling(count, limits.rows);
      for (int64_t i = 0; i < batches; ++i)
        all.batches.push_back({p, begin + count * i / batches, begin + count * (i + 1) / batches});
      all.edges.push_back(all.batches.size());
    }
  }
  return all;
}

LaneSums::LaneSums(const Lanes& lanes, size_t groups, at::Tensor like)
    : lanes_(lanes), like_(std::move(like)), sums_(lanes.count()), left_(groups), answers_(groups) {
  for (size_t lane = 0; lane < lanes.count(); ++lane) ++left_[lanes.group(lane)];
}

at::Tensor LaneSums::of(size_t lane) {
  at::Tensor& sum = sums_[lane];
  if (!sum.defined()) sum = at::zeros_like(like_);
  return sum;
}

void LaneSums::done(size_t batch, size_t lane) {
  if (batch + 1 < lanes_.edges[lane + 1]) return;
  const size_t group = lanes_.group(lane);
  const std::lock_guard<std::mutex> guard(mutex_);
  if (--left_[group] > 0) return;
  at::Tensor& answer = answers_[group];
  for (size_t l = 0; l < lanes_.count(); ++l) {
    if (lanes_.group(l) != group) continue;
    at::Tensor& sum = sums_[l];
    answer = answer.defined() ? answer.add_(sum) : sum;
    sum.reset();
  }
}

}  // namespace retort::nets
