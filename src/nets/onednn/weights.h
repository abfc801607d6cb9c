// The layers of a ConvNet in the blocked engine, and their weights in oneDNN's layouts.
#pragma once

#include <cstdint>
#include <vector>

#include "nets/onednn/arena.h"
#include "nets/onednn/conv.h"
#include "retort/nets/network.h"

namespace retort::nets {

/// A block of the network: convolution, instance norm, ReLU, 2x2 average pooling. The convolution's
/// bias is left out: the norm takes it away again.
struct BlockedLayer {
  int64_t in, out, height, width;  ///< the convolution's channels and input map
  int64_t kernel, padding;
  int64_t map_height, map_width;  ///< its output map
  int64_t weight, gain, shift;    ///< offsets in theta
  int64_t weight_count() const { return out * in * kernel * kernel; }
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

/// The weights of one theta in the layouts that plans ask for.
class PackedWeights {
 public:
  PackedWeights(const BlockedNetwork& network, const float* theta)
      : network_(network), theta_(theta) {}
  /// Plans to pack layer `layer` for a plan. Not thread-safe: before the micro batches are dealt
  /// out.
  void prepare(size_t layer, const ConvPlan& plan, Arena& arena);
  /// How many layouts are planned, and the work of one of them: each may be done on its own thread.
  size_t planned() const { return packed_.size(); }
  void pack(size_t index, const dnnl::engine& engine) const;
  const float* get(size_t layer, const ConvPlan& plan) const;
  const float* theta() const { return theta_; }

 private:
  struct Packed {
    size_t layer;
    dnnl::memory::desc layout;
    float *data, *turned;  // turned: room for col2im_columns()'s plain weight, else null
  };
  const BlockedNetwork& network_;
  const float* theta_;
  std::vector<Packed> packed_;
};

/// What a pass runs on. All of it outlives the pass.
struct PassTools {
  const BlockedNetwork& network;
  ConvPlans& plans;
  Arena& arena;
};

/// Images of the first layer that are taken together, so that their maps are still in cache when
/// the norm reads them.
int64_t chunk_of(const BlockedLayer& layer, int64_t rows);

ConvShape shape_of(const BlockedLayer& layer, Product product, int64_t images);
/// The way back to images has too few channels for a convolution to be fast: a 1x1 convolution
/// gives what every position adds to each of its neighbours, and col2im() adds up.
ConvShape col2im_columns(const BlockedLayer& layer, int64_t images);

/// Runs a forward or input product of a layer.
void convolve(const PassTools& tools, const ConvShape& shape, const float* input,
              const PackedWeights& weights, size_t layer, const float* output);

/// What a pass will do.
struct PassPlan {
  int64_t rows;
  WithRespectTo wrt;  ///< what it goes back to
  bool tangent;       ///< values and tangents, rather than values alone
};
/// Prepares the weights that a pass needs.
void prepare(const PassTools& tools, const PassPlan& pass, PackedWeights& weights);

/// The weight's cotangent over the chunks of a batch, added to `theta` [P] at the end.
class WeightGradAccumulator {
 public:
  WeightGradAccumulator(const PassTools& tools, const BlockedLayer& layer, float* theta)
      : tools_(tools), layer_(layer), theta_(theta) {}
  void add(int64_t images, const float* input, const float* doutput);
  void finish();

 private:
  const PassTools& tools_;
  const BlockedLayer& layer_;
  float* theta_;
  float *sum_ = nullptr, *made_ = nullptr;
  int64_t room_ = 0;
  dnnl::memory::desc layout_;
};

}  // namespace retort::nets
