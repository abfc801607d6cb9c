// Distances are compared through |f|^2 - 2 <f, t>, one matrix-vector product a pick, in float64:
// the cancellation would cost float32 its last digits, and with them the order of near ties.
#include "methods/selection/pick.h"

#include <algorithm>
#include <limits>

#include "core/sizes.h"

namespace retort::methods::selection {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Squared distances of all rows to `point`, but for the point's own square.
at::Tensor partial_distances(const at::Tensor& rows, const at::Tensor& squares,
                             const at::Tensor& point) {
  return squares.sub(rows.mv(point), 2.0);
}

}  // namespace

std::vector<int64_t> pick_herding(const at::Tensor& features, int64_t count) {
  const at::Tensor rows = features.to(at::kCPU, at::kDouble);
  const at::Tensor mean = rows.mean(0);
  at::Tensor squares = rows.square().sum(1);
  at::Tensor target = mean.clone();
  std::vector<int64_t> picked;
  for (int64_t i = 0; i < std::min(count, rows.size(0)); ++i) {
    const int64_t best = partial_distances(rows, squares, target).argmin().item<int64_t>();
    picked.push_back(best);
    squares[best] = kInfinity;  // never again
    target.add_(mean).sub_(rows[best]);
  }
  return picked;
}

std::vector<int64_t> pick_kcenter(const at::Tensor& features, int64_t count) {
  const at::Tensor rows = features.to(at::kCPU, at::kDouble);
  const at::Tensor squares = rows.square().sum(1);
  int64_t next = partial_distances(rows, squares, rows.mean(0)).argmin().item<int64_t>();
  at::Tensor nearest = at::full_like(squares, kInfinity);
  std::vector<int64_t> picked;
  for (int64_t i = 0; i < std::min(count, rows.size(0)); ++i) {
    picked.push_back(next);
    const at::Tensor distances = partial_distances(rows, squares, rows[next]).add(squares[next]);
    nearest = at::minimum(nearest, distances);
    nearest[next] = -kInfinity;  // never again
    next = nearest.argmax().item<int64_t>();
  }
  return picked;
}

void ForgettingCounter::see(int64_t row, bool right) {
  Entry& entry = entries_[to_size(row)];
  if (entry.right && !right) ++entry.events;
  entry.right = right;
  entry.ever_right = entry.ever_right || right;
}

std::vector<int64_t> pick_forgetting(const ForgettingCounter& counter, std::vector<int64_t> rows,
                                     int64_t count) {
  const auto rank = [&](int64_t row) {
    return counter.ever_right(row) ? counter.events(row) : std::numeric_limits<int64_t>::max();
  };
  std::sort(rows.begin(), rows.end(),
            [&](int64_t a, int64_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; });
  rows.resize(std::min(rows.size(), to_size(count)));
  return rows;
}

}  // namespace retort::methods::selection
