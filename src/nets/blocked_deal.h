// How the rows of a call are cut into pieces and dealt out to threads, and how their sums meet.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "core/deal.h"
#include "retort/core/device.h"

namespace retort::nets {

/// Rows begin..end-1 of a part.
struct Piece {
  size_t part;
  int64_t begin, end;
  int64_t rows() const { return end - begin; }
};

/// Pieces, and the runs of them that one thread takes: edges[t] up to edges[t + 1] for task t.
struct Deal {
  std::vector<Piece> pieces;
  std::vector<size_t> edges{0};
  int64_t tasks() const { return static_cast<int64_t>(edges.size()) - 1; }
};

/// Cuts parts of so many rows. Depends on sizes and the number of threads only. A single part is
/// cut so that every thread has as many rows.
Deal deal(const std::vector<int64_t>& sizes, int64_t most);

/// Calls work(i, task) for every piece, tasks on several threads, each of which is told that it
/// works alone.
template <class Work>
void each_piece(const Deal& dealt, const Work& work) {
  const auto task = [&](int64_t t) {
    const AloneScope alone;
    const at::NoGradGuard no_graph;
    for (size_t i = dealt.edges[static_cast<size_t>(t)];
         i < dealt.edges[static_cast<size_t>(t) + 1]; ++i)
      work(i, t);
  };
  if (dealt.tasks() == 1) return task(0);
  deal_out(dealt.tasks(), task);
}

/// Vectors that pieces add into, one for every part and task that has pieces of it.
class ThetaSums {
 public:
  ThetaSums(const Deal& dealt, size_t parts, int64_t size);
  float* of(int64_t task, size_t part) const;
  /// The sum of every part, tasks in their order. Called once.
  std::vector<at::Tensor> take();

 private:
  struct Own {
    int64_t task;
    size_t part;
    at::Tensor sum;
  };
  std::vector<Own> own_;
  std::vector<at::Tensor> answers_;
};

}  // namespace retort::nets
