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

/// What comes after the way there. Tangents need all maps and the outputs' cotangents, which a way
/// back alone writes over maps and outputs.
enum class Follows { kNothing, kBackward, kTangents };

/// The values of n images. The first layer's maps, the largest, are made again a few images at a
/// time wherever they are needed: that is as soon done as reading them from memory.
struct PassValues {
  struct Layer {
    float *map, *output, *mean, *rstd;  ///< map: null where it is not kept
    float* doutput;                     ///< the output's cotangent, after the way back
  };
  const float* images = nullptr;  ///< [n, C, H, W] plain
  float* features = nullptr;      ///< [n, F] plain
  std::vector<Layer> layers;
};

/// Memory for the values of `rows` images.
PassValues take_values(const BlockedNetwork& network, int64_t rows, Follows follows, Arena& arena);
/// Floats of an image's values that tangents need.
int64_t kept_floats(const BlockedNetwork& network);

/// Features of n images, and the way back.
class BlockedPass {
 public:
  /// `values` as taken for what follows; the pass fills them.
  BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows, Follows follows,
              const PassValues& values);
  /// With values in the tools' arena.
  BlockedPass(const PassTools& tools, const PackedWeights& weights, int64_t rows, Follows follows)
      : BlockedPass(tools, weights, rows, follows,
                    take_values(tools.network, rows, follows, tools.arena)) {}
  /// images [n, C, H, W] plain, which outlive the pass; returns features [n, F].
  const float* forward(const float* images);
  /// dfeatures [n, F]; called once.
  void backward(const float* dfeatures, const PassCotangents& into);
  const PassValues& values() const { return values_; }

 private:
  void forward_layer(size_t layer, const float* input);
  void backward_layer(size_t layer, const PassCotangents& into);
  /// Rows of a layer's map that are in work at a time.
  int64_t chunk(size_t layer) const;
  const PassTools tools_;
  const PackedWeights& weights_;
  const int64_t rows_;
  const Follows follows_;
  PassValues values_;
  float* part_;  // maps of a chunk, where they are not kept
};

}  // namespace retort::nets
