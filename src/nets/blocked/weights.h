// The layers of a ConvNet in the blocked engine, their products and their weights as these take
// them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nets/blocked/arena.h"
#include "nets/winograd/first_layer.h"
#include "nets/winograd/winograd.h"
#include "retort/nets/network.h"

namespace retort::nets {

/// Channels of a block of a map.
constexpr int64_t channel_block() {
  return kWinogradBlock;
}

/// A block of the network: 3x3 convolution, instance norm, ReLU, 2x2 average pooling. The
/// convolution's bias is left out: the norm takes it away again.
struct BlockedLayer {
  int64_t in, out, height, width;  ///< the convolution's channels and input map
  int64_t padding;                 ///< 1 but for the first layer's
  int64_t map_height, map_width;   ///< its output map
  int64_t weight, gain, shift;     ///< offsets in theta
  int64_t weight_count() const { return out * in * 9; }
  int64_t input_size() const { return in * height * width; }  ///< floats of an image
  int64_t map_size() const { return out * map_height * map_width; }
  int64_t output_size() const { return map_size() / 4; }
};

/// A network of such blocks; a linear layer follows.
struct BlockedNetwork {
  std::vector<BlockedLayer> layers;
  int64_t features = 0, classes = 0;
  int64_t head_weight = 0, head_bias = 0;  ///< offsets in theta
  int64_t parameters = 0;
};

/// The weights of one theta as the products take them.
class PackedWeights {
 public:
  PackedWeights(const BlockedNetwork& network, const float* theta);
  /// Plans to pack layer `layer`, `turned` for the way back. Not thread-safe: before the micro
  /// batches are dealt out.
  void prepare(size_t layer, bool turned, Arena& arena);
  /// How many are planned, and the work of one of them: each may be done on its own thread.
  size_t planned() const { return planned_.size(); }
  void pack(size_t index) const;
  const float* get(size_t layer, bool turned) const;
  const float* theta() const { return theta_; }

 private:
  struct Planned {
    size_t layer;
    bool turned;
  };
  const BlockedNetwork& network_;
  const float* theta_;
  std::vector<Planned> planned_;
  std::vector<std::array<float*, 2>> packed_;  // by layer; null where it is not planned
};

/// What a pass runs on. All of it outlives the pass.
struct PassTools {
  const BlockedNetwork& network;
  Arena& arena;
};

/// Images of the first layer that are taken together, so that their maps are still in cache when
/// the norm reads them.
int64_t chunk_of(const BlockedLayer& layer, int64_t rows);

/// A second product that is added.
struct MoreProduct {
  const float* input = nullptr;
  const PackedWeights* weights = nullptr;
};

/// Layer `layer` of `rows` images: input to map; `more`: of any layer but the first.
void convolve(const PassTools& tools, size_t layer, int64_t rows, const float* input,
              const PackedWeights& weights, float* map, const MoreProduct& more = {});
/// The map's cotangent to the input's; the first layer adds to it.
void convolve_back(const PassTools& tools, size_t layer, int64_t rows, const float* dmap,
                   const PackedWeights& weights, float* dinput, const MoreProduct& more = {});
/// Adds the weight's cotangent to that of theta [P]; `more`: of any layer but the first.
void add_weight(const PassTools& tools, size_t layer, int64_t rows, const float* input,
                const float* dmap, float* dtheta, const WinogradTerm& more = {});

/// Prepares what a pass needs that goes back to `wrt`.
void prepare(const PassTools& tools, WithRespectTo wrt, PackedWeights& weights);

}  // namespace retort::nets
