#include "nets/row_lanes.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "retort/nets/network.h"

namespace retort::nets {
namespace {

constexpr int64_t kMostLanes = 8;  ///< of a part: so many threads can work on it
constexpr int64_t kLeastRows = 5;  ///< of a lane, from which Winograd's tiles of an 8x8 map pay

int64_t ceiling(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

RowLimits row_limits(const Network& network, int64_t wanted) {
  const int64_t threads = std::max(1, at::get_num_threads());
  const int64_t rows = std::max<int64_t>(1, network.rows_at_once(wanted));
  return {rows, std::max<int64_t>(1, network.rows_at_once(rows * threads) / rows)};
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
      const int64_t pieces = one ? 1 : ceiling(count, limits.rows);
      for (int64_t i = 0; i < pieces; ++i)
        all.pieces.push_back({p, begin + count * i / pieces, begin + count * (i + 1) / pieces});
      all.edges.push_back(all.pieces.size());
    }
  }
  return all;
}

LaneSums::LaneSums(const Lanes& lanes, size_t parts, at::Tensor like)
    : lanes_(lanes),
      like_(std::move(like)),
      sums_(static_cast<size_t>(lanes.count())),
      left_(parts),
      answers_(parts) {
  for (int64_t lane = 0; lane < lanes.count(); ++lane) ++left_[lanes.part(lane)];
}

at::Tensor LaneSums::of(int64_t lane) {
  at::Tensor& sum = sums_[static_cast<size_t>(lane)];
  if (!sum.defined()) sum = at::zeros_like(like_);
  return sum;
}

void LaneSums::done(size_t piece, int64_t lane) {
  if (piece + 1 < lanes_.edges[static_cast<size_t>(lane) + 1]) return;
  const size_t part = lanes_.part(lane);
  const std::lock_guard<std::mutex> guard(mutex_);
  if (--left_[part] > 0) return;
  at::Tensor& answer = answers_[part];
  for (int64_t l = 0; l < lanes_.count(); ++l) {
    if (lanes_.part(l) != part) continue;
    at::Tensor& sum = sums_[static_cast<size_t>(l)];
    answer = answer.defined() ? answer.add_(sum) : sum;
    sum.reset();
  }
}

}  // namespace retort::nets
