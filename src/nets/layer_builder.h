// What an architecture is written in. One function serves twice: run once on a blank image it
// declares the layout, run on a batch it is handed views of theta in the same order.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "retort/nets/network.h"

namespace retort::nets {

enum class NormKind {
  kNone,
  kBatch,     ///< running statistics in the state, momentum 0.1
  kLayer,     ///< over [C, h, w], elementwise affine of that shape
  kInstance,  ///< per image and channel, affine, no running statistics
  kGroup,     ///< four groups of channels, affine
};
enum class Activation { kNone, kRelu, kSigmoid, kLeaky, kSwish, kTanh, kSoftplus };
enum class Pool { kNone, kAverage, kMax };

/// A convolution's settings; kernels are square.
struct Convolution {
  int64_t out = 0;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
  bool bias = true;
};

/// What follows a convolution, fused where that is faster; pools are 2x2.
struct NormActPool {
  NormKind norm = NormKind::kNone;
  Activation activation = Activation::kNone;
  Pool pool = Pool::kNone;
};

/// A map's channels and sides.
struct Sides {
  int64_t channels = 0, height = 1, width = 1;
};

/// One operation of a network whose operations are all known.
struct Op {
  enum class Kind {
    kConv,
    kNormActPool,
    kPool,
    kGlobalAverage,
    kLinear,
    kAdd
  } kind = Kind::kNormActPool;
  Convolution conv = {};
  NormActPool layer = {};              ///< kNormActPool; kPool: its pool
  int64_t window = 2;                  ///< kPool
  size_t slot = 0;                     ///< of its first parameter
  size_t statistic = 0;                ///< of its first running statistic
  std::string name = {};               ///< of the layer
  std::array<int64_t, 2> from = {-1};  ///< the operations that it takes; -1: the images
  Sides sides = {};                    ///< of what it makes
};

/// What a run on a blank image collects.
struct InitPass {
  std::string doing;  ///< opens the messages of errors
  Layout parameters, state;
  std::vector<std::string> taps;
  int64_t feature_size = 0;
  int64_t activations = 0;  ///< numbers that the operations make of one image
  std::vector<Op> ops;
  std::vector<at::Tensor> made;  ///< the images, then what every operation makes
  bool known = true;             ///< `ops` are all that happens
  bool sequential = true;        ///< every operation takes the one before it
};

/// What a run on a batch is given, and what it leaves.
struct ApplyPass {
  std::vector<at::Tensor> theta;  ///< one tensor a slot
  std::vector<at::Tensor> state;  ///< one a slot; kUpdating writes into them: hand in copies
  NormMode norm = NormMode::kBatch;
  std::vector<int64_t> offsets = {};  ///< of the groups of rows that have moments; empty: one
  bool second_order = false;          ///< a graph of a graph is wanted: no fused layers
  /// Filled where the key is a tap; values carry their graph.
  std::map<std::string, at::Tensor> taps = {};
};

/// The operations of an architecture. Layers declare their parameters in the order of the calls;
/// between them, any differentiable tensor operation may be used. ConfigError, on the blank
/// image, where a map is too small for a layer.
class LayerBuilder {
 public:
  explicit LayerBuilder(InitPass& into) : init_(&into) {}
  explicit LayerBuilder(ApplyPass& with) : apply_(&with) {}

  /// Layers from here on start with truncated normal weights of variance 1 / fan in (lecun_normal)
  /// and biases of 0, in place of PyTorch's default.
  void start_normal() { normal_ = true; }
  /// x [N, C, h, w] to [N, out, h', w'].
  at::Tensor conv(const std::string& name, at::Tensor x, const Convolution& settings);
  at::Tensor norm(const std::string& name, const at::Tensor& x, NormKind kind);
  at::Tensor activate(const at::Tensor& x, Activation activation);
  /// Square windows side by side; rows and columns left over are dropped.
  at::Tensor pool(const at::Tensor& x, Pool pool, int64_t window = 2);
  /// norm, activation and pool in this order; the norm's parameters go by `name`.
  at::Tensor norm_act_pool(const std::string& name, const at::Tensor& x, const NormActPool& layer);
  /// x + y, of one shape.
  at::Tensor add(const at::Tensor& x, const at::Tensor& y);
  /// Mean over the whole map: [N, C, h, w] to [N, C, 1, 1].
  at::Tensor global_average(const at::Tensor& x);
  /// x [N, in] to [N, out]; a map is flattened first.
  at::Tensor linear(const std::string& name, const at::Tensor& x, int64_t out);
  /// Flattens to [N, F] and marks the result as the tap "features".
  at::Tensor features(const at::Tensor& x);

 private:
  bool initialising() const { return init_ != nullptr; }
  at::Tensor parameter(const std::string& name, std::vector<int64_t> shape, Slot::Start start,
                       double bound = 0);
  at::Tensor statistic(const std::string& name, int64_t count, Slot::Start start);
  at::Tensor batch_norm(const std::string& name, const at::Tensor& x);
  at::Tensor affine_norm(const std::string& name, const at::Tensor& x, const NormActPool& layer);
  at::Tensor fused_norm_act_pool(const at::Tensor& x, const at::Tensor& gain,
                                 const at::Tensor& shift, const NormActPool& layer);
  at::Tensor finish(const at::Tensor& x, const NormActPool& layer);
  at::Tensor activated(const at::Tensor& x, Activation activation) const;
  at::Tensor pooled(const at::Tensor& x, Pool pool, int64_t window);
  size_t slots() const { return initialising() ? init_->parameters.slots.size() : 0; }
  bool first_order_cpu(const at::Tensor& x) const;
  void tap(const std::string& name, const at::Tensor& x);
  void tap_moments(const std::string& name, const at::Tensor& x);
  /// On the blank image: which operation made x.
  int64_t maker_of(const at::Tensor& x);
  /// On the blank image: notes an operation from x (and y) to the result, which it returns.
  at::Tensor recorded(const at::Tensor& x, Op op, const at::Tensor& result,
                      const at::Tensor& y = {});
  void refuse(const std::string& layer, const std::string& found, const std::string& accepted);

  InitPass* init_ = nullptr;
  ApplyPass* apply_ = nullptr;
  bool normal_ = false;
  size_t next_parameter_ = 0, next_statistic_ = 0;
};

}  // namespace retort::nets
