// Real images of a class, drawn at random: what most methods compare a synthetic set with.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "retort/core/random.h"
#include "retort/data/batch_source.h"
#include "retort/data/dataset.h"

namespace retort::data {

/// Different rows of class `c` of a split, in random order: `count` of them, or all where the class
/// has no more. `stream` goes on, so that several classes can share one.
std::vector<int64_t> draw_rows(const Split& split, RandomStream& stream, int64_t c, int64_t count);

/// The real images of a split as network input. Their bytes are copied to a GPU once, where all of
/// them take at most 2 GiB, and are gathered there; otherwise a draw copies its own bytes. On a CPU
/// nothing is copied. Draws depend on the stream and the class alone, never on the device.
class ClassSampler {
 public:
  /// `split` outlives it; `preprocessing` need not.
  ClassSampler(const Split& split, const Preprocessing& preprocessing, at::Device device);

  int64_t size() const { return split_.size(); }  ///< rows of the split
  int64_t classes() const { return static_cast<int64_t>(split_.rows_by_class.size()); }

  /// draw_rows() of the split.
  std::vector<int64_t> rows(RandomStream stream, int64_t c, int64_t count) const;
  /// Images of these rows: float32 [n, C, H, W] on the device.
  at::Tensor draw(RandomStream stream, int64_t c, int64_t count) const;

  /// Images of given rows, in their order: float32 [n, C, H, W] on the device.
  at::Tensor images(at::ArrayRef<int64_t> rows) const;
  /// The same with their labels, int64 [n] on the device.
  Batch batch(at::ArrayRef<int64_t> rows) const;

 private:
  at::Tensor index(at::ArrayRef<int64_t> rows) const;

  const Split& split_;
  at::Tensor images_, labels_;  // of the split; on the device where they are resident
  at::Device device_;
  Preprocessing preprocessing_;
};

}  // namespace retort::data
