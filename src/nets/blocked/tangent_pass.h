// A micro batch with derivatives along a direction of the parameters, on one thread.
#pragma once

#include "nets/blocked/pass.h"

namespace retort::nets {

/// The same with derivatives along a direction. Batches are [values, derivatives].
class TangentPass {
 public:
  TangentPass(const PassTools& tools, const PackedWeights& weights, const PackedWeights& tangent,
              int64_t rows);
  /// Returns features and their derivatives, [2n, F] of the arena.
  const float* forward(const float* images);
  /// dfeatures [2n, F]: cotangents, then their derivatives. `into` gets derivatives.
  void backward(const float* dfeatures, const PassCotangents& into);

 private:
  struct Maps {
    float *map, *output, *second;  // [2n] maps, [2n] outputs, [n] the tangent's second part
    float *mean, *rstd, *mean_tangent, *covariance;
  };
  BlockAffine affine(const BlockedLayer& layer, int64_t channel) const;
  BlockMoments moments(const Maps& maps, const BlockedLayer& layer, int64_t row,
                       int64_t channel) const;
  void forward_tails(const BlockedLayer& layer, const Maps& maps, int64_t begin, int64_t end);
  void backward_tails(const BlockedLayer& layer, const Maps& maps, const BlockDual& doutput,
                      int64_t begin, int64_t end, float* dtheta);
  void first_layer_back(const BlockDual& doutput, const PassCotangents& into);
  const PassTools tools_;
  const PackedWeights &weights_, &tangent_;
  const int64_t rows_;
  const float* images_ = nullptr;
  std::vector<Maps> maps_;
};

}  // namespace retort::nets
