// One piece of a batch through a ConvNet on one thread, on the blocked layout from end to end.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nets/blocked_conv.h"
#include "nets/blocked_kernels.h"

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

/// Memory that is handed out in pieces and taken back at once: nothing is allocated from the second
/// use on. Aligned for vectors.
class Arena {
 public:
  float* take(int64_t count);
  /// Memory that the next scratch() may hand out again.
  float* scratch(int64_t count);
  void reset();

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  using Memory = std::unique_ptr<float[], Free>;
  static Memory allocate(int64_t count);
  std::vector<Memory> blocks_;
  Memory scratch_;
  int64_t scratch_size_ = 0;
  int64_t capacity_ = 0, used_ = 0, total_ = 0;  // of the last block; of all since reset()
};

/// The weights of one theta in the layouts that plans ask for.
class PackedWeights {
 public:
  PackedWeights(const BlockedNetwork& network, const float* theta)
      : network_(network), theta_(theta) {}
  /// Packs layer `layer` for a plan. Not thread-safe: before the pieces are dealt out.
  void prepare(size_t layer, const ConvPlan& plan, const dnnl::engine& engine, Arena& arena);
  const float* get(size_t layer, const ConvPlan& plan) const;
  const float* theta() const { return theta_; }

 private:
  struct Packed {
    size_t layer;
    dnnl::memory::desc layout;
    const float* data;
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

/// The same with derivatives along a direction. Batches are [values, derivatives].
class AlongPass {
 public:
  AlongPass(const PassTools& tools, const PackedWeights& weights, const PackedWeights& along,
            int64_t rows);
  /// Returns features and their derivatives, [2n, F] of the arena.
  const float* forward(const float* images);
  /// dfeatures [2n, F]: cotangents, then their derivatives. `into` gets derivatives.
  void backward(const float* dfeatures, const PassCotangents& into);

 private:
  struct Maps {
    float *map, *output, *second;  // [2n] maps, [2n] outputs, [n] the tangent's second part
    float *mean, *rstd, *mean_along, *covariance;
  };
  BlockAffine affine(const BlockedLayer& layer, int64_t channel) const;
  BlockMoments moments(const Maps& maps, const BlockedLayer& layer, int64_t row,
                       int64_t channel) const;
  void forward_tails(const BlockedLayer& layer, const Maps& maps, int64_t begin, int64_t end);
  void backward_tails(const BlockedLayer& layer, const Maps& maps, const float* doutput,
                      const float* second, int64_t begin, int64_t end, float* dtheta);
  void first_layer_back(const float* doutput, const float* second, const PassCotangents& into);
  const PassTools tools_;
  const PackedWeights &weights_, &along_;
  const int64_t rows_;
  const float* images_ = nullptr;
  std::vector<Maps> maps_;
};

/// Prepares what a pass of `rows` rows needs: going back to the images too where `images`.
struct PassNeeds {
  int64_t rows;
  bool back, images, along;
};
void prepare(const PassTools& tools, const PassNeeds& needs, PackedWeights& weights);

}  // namespace retort::nets
