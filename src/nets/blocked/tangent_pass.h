// The derivatives of a micro batch along a direction of the parameters, on one thread.
#pragma once

#include "nets/blocked/pass.h"

namespace retort::nets {

/// Goes along the values of a pass that has been there and back; it leaves them as they are.
class TangentPass {
 public:
  TangentPass(const PassTools& tools, const PackedWeights& weights, const PackedWeights& tangent,
              int64_t rows, const PassValues& values);
  /// Returns the features' derivatives, [n, F] of the arena.
  const float* forward();
  /// dfeatures [n, F]: derivatives of the features' cotangents. `into` gets derivatives.
  void backward(const float* dfeatures, const PassCotangents& into);

 private:
  struct Maps {  // derivatives; the first layer's map is a chunk's
    float *map, *output, *mean, *covariance;
  };
  BlockAffine affine(const BlockedLayer& layer, int64_t channel) const;
  BlockMoments moments(size_t layer, int64_t row, int64_t channel) const;
  void first_maps(int64_t begin, int64_t count);
  void forward_tails(size_t layer, int64_t begin, int64_t count, const float* map);
  void backward_tails(size_t layer, int64_t begin, int64_t count, const float* map,
                      const PassCotangents& into);
  void first_layer_back(const PassCotangents& into);
  const PassTools tools_;
  const PackedWeights &weights_, &tangent_;
  const int64_t rows_;
  const PassValues& values_;
  std::vector<Maps> maps_;
  float* first_;  // values of a chunk of the first layer's map
  float* dmap_;   // cotangents of the values of the layer's map in work
};

}  // namespace retort::nets
