// How the rows of a call are cut and dealt out to threads, and how their sums meet. One rule for
// every engine: the cut of a part depends on its own number of rows and on the memory limit, never
// on the parts beside it or on the number of threads, and sums are taken in one order. So a group
// gives the same bits alone, in a batch, and on any number of threads.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
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

class Network;

/// The size of pieces, and how many lanes may be in work at a time.
struct RowLimits {
  int64_t rows;   ///< of a piece, at most
  int64_t lanes;  ///< at a time, at least one
};

/// Pieces of at most `wanted` rows, and as many lanes at a time as the network's memory limit
/// holds.
RowLimits row_limits(const Network& network, int64_t wanted);

/// Pieces in order, and the lanes they make: lane l has the pieces edges[l] up to edges[l + 1], all
/// of one part. One thread takes a lane at a time.
struct Lanes {
  std::vector<Piece> pieces;
  std::vector<size_t> edges{0};
  int64_t at_once = 1;
  int64_t count() const { return static_cast<int64_t>(edges.size()) - 1; }
  size_t part(int64_t lane) const { return pieces[edges[static_cast<size_t>(lane)]].part; }
};

/// Cuts a part's rows into lanes of about as many rows, and lanes into pieces. A part whose rows
/// influence each other (`whole`, one flag a part, or empty for none) is one piece.
Lanes cut_rows(const std::vector<int64_t>& sizes, const RowLimits& limits,
               const std::vector<bool>& whole = {});

/// Calls work(i, lane) for every piece i, each lane on a thread that is told that it works alone. A
/// single piece has all threads.
template <class Work>
void each_piece(const Lanes& lanes, const Work& work) {
  const auto lane = [&](int64_t l) {
    const AloneScope alone;
    const at::NoGradGuard no_graph;
    for (size_t i = lanes.edges[static_cast<size_t>(l)];
         i < lanes.edges[static_cast<size_t>(l) + 1]; ++i)
      work(i, l);
  };
  deal_out(lanes.count(), lane, (lanes.count() + lanes.at_once - 1) / lanes.at_once);
}

/// Sums [P] of parts. Each lane adds into a vector of its own; when a part's last lane is done its
/// vectors are added up in order and freed.
class LaneSums {
 public:
  LaneSums(const Lanes& lanes, size_t parts, at::Tensor like);
  /// The vector of a lane, zeros at its first call.
  at::Tensor of(int64_t lane);
  /// To be called after every piece, with the number of the piece.
  void done(size_t piece, int64_t lane);
  /// The sum of every part. Called once.
  std::vector<at::Tensor> take() { return std::move(answers_); }

 private:
  const Lanes& lanes_;
  const at::Tensor like_;
  std::mutex mutex_;
  std::vector<at::Tensor> sums_;     // of every lane
  std::vector<int64_t> left_;        // lanes of every part that are not done
  std::vector<at::Tensor> answers_;  // of every part
};

}  // namespace retort::nets
