// One micro batch through a ConvNet on one thread, on the blocked layout from end to end.
#pragma once

#include <cstdint>
#include <vector>

#include "nets/blocked/kernels.h"
#include "nets/blocked/weights.h"

namespace retort::nets {

/// Where cotangents go; null where they are not wanted.
struct PassCotangents {
  float* theta = nullptr;   ///< [P], added to; the head's part is the caller's
  float* images = nullptr;  ///< [n, C, H, W], overwritten
};

/// Features of n images, and the way back.
class BlockedPass {
 public:
  /// `keep`: backward() will follow.
  BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows, bool keep);
  /// images [n, C, H, W] plain, which outlive the pass; returns features [n, F] of the arena.
  const float* forward(const float* images);
  /// dfeatures [n, F]; called once.
  void backward(const float* dfeatures, const PassCotangents& into);

 private:
  struct Maps {
    float *map, *output, *mean, *rstd;
  };
  void backward_layer(size_t layer, const float* input, const float* doutput, float* dinput,
                      const PassCotangents& into);
  const PassTools tools_;
  const PackedWeights& weights_;
  const int64_t rows_;
  const bool keep_;
  const float* images_ = nullptr;
  std::vector<Maps> maps_;
};

}  // namespace retort::nets
