// What a gradient leaves for products of the second order: the values of all its micro batches.
#pragma once

#include <memory>
#include <vector>

#include "nets/blocked/call.h"
#include "nets/blocked/pass.h"

namespace retort::nets {

/// Memory is taken at once, in one piece; passes fill it.
class BlockedKept : public KeptPass {
 public:
  BlockedKept(std::shared_ptr<Workspace> space, const CallFrame& frame);
  int64_t bytes() const override { return bytes_of(space_->network, rows_); }
  static int64_t bytes_of(const BlockedNetwork& network, int64_t rows);
  /// True where a call is cut as the gradient was.
  bool fits(const Lanes& lanes) const;
  /// Of a micro batch.
  const PassValues& values(size_t batch) const { return values_[batch]; }

 private:
  const std::shared_ptr<Workspace> space_;
  const ArenaPool::Lease lease_;
  const std::vector<MicroBatch> batches_;
  std::vector<at::Tensor> images_;  // of the groups, which values point into
  std::vector<PassValues> values_;
  int64_t rows_ = 0;
};

}  // namespace retort::nets
