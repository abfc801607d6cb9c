// A sum over the items of all processes of a job.
#pragma once

#include <torch/types.h>

#include <vector>

#include "retort/core/process_group.h"

namespace retort {

/// The same bits for any number of processes: items are added to zeros from the first to the last.
/// Alone, each is added as it comes; several processes keep theirs for the end.
class ItemSum {
 public:
  /// Of the type, shape and device of `like`.
  ItemSum(const ProcessGroup& group, const at::Tensor& like)
      : group_(group), sum_(at::zeros_like(like)) {}
  void add(const at::Tensor& item) {
    if (group_.size() == 1)
      sum_.add_(item);
    else
      mine_.push_back(item);
  }
  /// When this process has added all of its items. A call of all processes.
  at::Tensor total() {
    if (group_.size() > 1) sum_.add_(group_.all_reduce(mine_, sum_));
    mine_.clear();
    return sum_;
  }

 private:
  const ProcessGroup& group_;
  at::Tensor sum_;
  std::vector<at::Tensor> mine_;
};

}  // namespace retort
