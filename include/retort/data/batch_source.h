// Where a training loop gets its batches: real images, or a synthetic set.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::data {

/// Rows of images with what they should be taken for.
struct Batch {
  at::Tensor images;   ///< float32 [N, C, H, W], network input, on the device
  at::Tensor targets;  ///< int64 [N], or float32 [N, K] for soft labels
};

/// A fixed set of examples, fetched by row number.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t size() const = 0;
  /// Rows `indices` in that order.
  virtual Batch get(const std::vector<int64_t>& indices) const = 0;
};

/// Rows of a split, normalised on fetching. `split` and `preprocessing` must outlive it.
std::unique_ptr<BatchSource> real_source(const Split& split, const Preprocessing& preprocessing,
                                         at::Device device);
/// The given rows of a split only.
std::unique_ptr<BatchSource> real_source(const Split& split, const Preprocessing& preprocessing,
                                         at::Device device, std::vector<int64_t> rows);
/// Tensors in memory.
std::unique_ptr<BatchSource> tensor_source(at::Tensor images, at::Tensor targets);

}  // namespace retort::data
