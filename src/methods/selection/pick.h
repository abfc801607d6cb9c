// The rules of selection as pure functions of features or of what happened in training.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "core/sizes.h"

namespace retort::methods::selection {

/// Greedy herding: pick i is the row closest to (i + 1) mean - sum of the rows picked before.
/// `features` [n, F]; min(count, n) different rows in order of picking; ties to the lower row.
std::vector<int64_t> pick_herding(const at::Tensor& features, int64_t count);

/// The row nearest the mean, then always the row farthest from all picked before; as above.
std::vector<int64_t> pick_kcenter(const at::Tensor& features, int64_t count);

/// Counts, per row, how often it was right in one batch and wrong in its next.
class ForgettingCounter {
 public:
  explicit ForgettingCounter(int64_t rows) : entries_(to_size(rows)) {}

  void see(int64_t row, bool right);
  int64_t events(int64_t row) const { return entries_[to_size(row)].events; }
  bool ever_right(int64_t row) const { return entries_[to_size(row)].ever_right; }

 private:
  struct Entry {
    int64_t events = 0;
    bool right = false, ever_right = false;
  };
  std::vector<Entry> entries_;
};

/// The `count` most forgotten of `rows`; rows never right come first (forgotten without end), ties
/// go to the lower row.
std::vector<int64_t> pick_forgetting(const ForgettingCounter& counter, std::vector<int64_t> rows,
                                     int64_t count);

}  // namespace retort::methods::selection
