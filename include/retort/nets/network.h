// A network as a pure function of a flat parameter vector. theta is one tensor [P], or [G, P] for G
// networks side by side; running statistics are `state`, never in theta. Calls mutate nothing.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "retort/core/random.h"
#include "retort/losses/losses.h"

namespace retort::nets {

/// One parameter or running statistic inside a flat vector.
struct Slot {
  std::string name;  ///< "block1.conv.weight"
  std::vector<int64_t> shape;
  int64_t offset = 0;
  int64_t count = 0;
  enum class Start { kUniform, kNormal, kOnes, kZeros } start = Start::kZeros;
  double bound = 0;  ///< kUniform: U(-bound, bound); kNormal: the deviation, cut off at two of it
};

/// Names, shapes and offsets of a flat vector.
struct Layout {
  std::vector<Slot> slots;
  int64_t size = 0;
  const Slot& find(const std::string& name) const;
};

/// How BatchNorm layers act; other norms ignore it.
enum class NormMode {
  kBatch,     ///< batch statistics, running state left as it is
  kUpdating,  ///< batch statistics, new running state returned (PyTorch's train mode)
  kFrozen,    ///< running statistics (PyTorch's eval mode)
};

/// What a network is evaluated at. `offsets` (G + 1 numbers from 0 to N) part the rows into groups;
/// empty means one group. theta [G, P] gives each group its own parameters; theta [P] with groups
/// gives per-group losses and gradients at the same parameters.
struct Inputs {
  at::Tensor theta;   ///< [P] or [G, P]; float32 or float64, as the images
  at::Tensor state;   ///< [S] or [G, S]; may be undefined where S = 0
  at::Tensor images;  ///< [N, C, H, W]
  std::vector<int64_t> offsets = {};
  NormMode norm = NormMode::kBatch;
};

/// What derivatives are wanted with respect to. Name the fields: {.images = true}.
struct WithRespectTo {
  bool theta = false;  ///< of a pullback and of gradient_jvp; gradient always gives it
  bool images = false;
  bool targets = false;  ///< of gradient and gradient_jvp, where targets are floating
  bool any() const { return theta || images || targets; }
};

/// An observation's vector-Jacobian product: its cotangents pulled back.
struct Vjp {
  at::Tensor images;  ///< [N, C, H, W]
  at::Tensor theta;   ///< as the inputs' theta, where asked for
};

/// Chosen values inside a forward pass.
struct Observation {
  /// By name, without a graph. Beside those that Network::taps() lists there is
  /// "<name>.moments" for every BatchNorm layer: mean and biased variance of its input over rows
  /// and positions, [G, 2, C] for the groups of rows that `offsets` part (G = 1 without).
  std::map<std::string, at::Tensor> taps;
  at::Tensor state;  ///< new running state (kUpdating), else the inputs'
  /// Cotangents by tap name to cotangents of what the observation was asked for with respect to;
  /// valid once. Empty where it was asked for nothing.
  std::function<Vjp(const std::map<std::string, at::Tensor>&)> pullback;
};

/// What a gradient leaves for products of the second order at the same inputs and targets, which
/// then do less and give the same bits. Any number of products may use it, on any thread.
class KeptPass {
 public:
  virtual ~KeptPass() = default;
  virtual int64_t bytes() const = 0;
};

/// gradient()'s answer. With groups, loss is [G], theta [G, P] and an updated state [G, S].
struct Gradient {
  at::Tensor loss;     ///< scalar or [G]: mean over the group's rows
  at::Tensor theta;    ///< dl/dtheta, [P] or [G, P]
  at::Tensor images;   ///< dl/dX where asked, [N, C, H, W]
  at::Tensor targets;  ///< dl/dY where asked, [N, K]
  at::Tensor logits;   ///< [N, K]
  at::Tensor state;    ///< new running state
  /// Where it was allowed and the engine keeps something, else null. It may outlive the network.
  std::shared_ptr<const KeptPass> kept = {};
};

/// gradient_jvp()'s answer: derivatives of gradient()'s along theta + e v at e = 0.
struct GradientJvp {
  at::Tensor loss;     ///< <g, v>, scalar or [G]
  at::Tensor theta;    ///< H v, where asked
  at::Tensor images;   ///< (d2l/dX dtheta) v
  at::Tensor targets;  ///< (d2l/dY dtheta) v, where targets are floating
};

/// What a network is built for.
struct Shape {
  int64_t channels = 3, height = 32, width = 32, classes = 10;
};

/// The kinds of calls; predict is an observation.
enum class Work { kObserve, kGradient, kGradientJvp };

class LayerBuilder;  // nets/layer_builder.h: hands out parameters while an architecture runs
struct Definition;   // nets/engine.h of the sources: what engines know of a network
struct Query;        // what they are asked
struct Group;        // one group's share of a call
class Engine;        // computes calls: nets/blocked, nets/graph, nets/sequential, nets/autograd

/// An architecture: builds logits from images through `f`. It is run once on one blank image to
/// learn the layout and then for every call, so it is the whole definition of a network.
using Architecture = std::function<at::Tensor(LayerBuilder& f, at::Tensor images)>;

/// A network for one shape of images and number of classes. Its calls are computed by engines, the
/// first in the order of engine_table() that accepts a call. Thread-safe: all calls are const.
class Network {
 public:
  /// ConfigError where the architecture does not fit the shape.
  Network(std::string name, Architecture architecture, Shape shape);

  const std::string& name() const;
  const Shape& shape() const;
  const Layout& parameters() const;
  const Layout& state() const;
  /// True where rows of a batch influence each other (BatchNorm).
  bool couples_rows() const { return state().size > 0; }
  /// The tap names: "logits", "features" (input of the last linear layer, flattened), and for
  /// every layer "<name>.input".
  const std::vector<std::string>& taps() const { return taps_; }
  int64_t feature_size() const { return feature_size_; }
  /// True where every operation takes the one before it: `gradient_jvp` is then one sweep without
  /// an autograd graph.
  bool is_sequential() const;
  /// The name of the engine that does such work in float32 on `device`, with cross-entropy.
  std::string engine_name(Work work = Work::kGradient, at::Device device = at::kCPU) const;
  /// Leaves the engine of that name alone, for tests and benchmarks: calls that it does not accept
  /// then throw c10::Error, as does a name that the network has no engine of. Not thread-safe:
  /// before any call.
  void restrict_to(const std::string& engine);

  /// PyTorch's default initialisation drawn from the stream, float32 [P] on the CPU.
  at::Tensor initial(RandomStream stream) const;
  /// Running statistics of a fresh network, float32 [S] on the CPU (means 0, variances 1).
  at::Tensor initial_state() const;

  /// Lets calls take about `bytes` beside what is in memory now, 0: as much as they like. Calls on
  /// rows that do not influence each other then work on fewer at once, with equal results but for
  /// rounding. ResourceError where not even one image fits. Not thread-safe: before any call.
  void limit_memory(int64_t bytes);
  /// The rows that a pass with a graph may have, at most `wanted`.
  int64_t rows_at_once(int64_t wanted) const;
  /// Bytes that a caller may keep for itself beside the passes; a very large number without limit.
  int64_t spare_bytes() const;

  /// Chosen layer values; one pass over all rows where theta is [P].
  Observation observe(const Inputs& inputs, const std::vector<std::string>& taps,
                      WithRespectTo wrt = {}) const;
  /// Loss and gradient per group. The answer's `kept` takes at most `keep_bytes`; what needs more
  /// is not kept.
  Gradient gradient(const Inputs& inputs, const losses::Targets& targets, WithRespectTo wrt = {},
                    int64_t keep_bytes = 0) const;
  /// Second-order products per group; v is as theta, or [G, P] at a shared theta [P]. `kept`: null,
  /// or what gradient() left at the same theta, images, offsets, norm and targets (equal values;
  /// c10::Error where its rows are others).
  GradientJvp gradient_jvp(const Inputs& inputs, const losses::Targets& targets,
                           const at::Tensor& v, WithRespectTo wrt = {.theta = true},
                           const KeptPass* kept = nullptr) const;

  /// Logits without a graph, kFrozen, in pieces of `chunk` rows.
  at::Tensor predict(const at::Tensor& theta, const at::Tensor& state, const at::Tensor& images,
                     int64_t chunk = 256) const;

 private:
  Query query(Work work, const at::Tensor& theta, const at::Tensor& images) const;
  const Engine& engine_for(const Query& query) const;

  std::shared_ptr<const Definition> definition_;
  std::vector<std::string> taps_;
  int64_t feature_size_ = 0, bytes_per_image_ = 0;
  int64_t memory_ = 0;  // bytes for passes and callers; 0: no limit
  std::vector<std::shared_ptr<const Engine>> engines_;
};

/// A row of the table of engines.
struct EngineEntry {
  std::string name;      ///< "blocked"
  bool present = false;  ///< in this build, and able to run on this processor
  std::string summary;   ///< what it takes and how, or why it is absent
};
/// In the order in which a network asks them; the last, "autograd", accepts every call.
std::vector<EngineEntry> engine_table();

/// A row of the table of networks.
struct NetworkEntry {
  std::string name;  ///< "convnet", "resnet18"
  std::string summary;
  std::string variants;  ///< the suffixes it takes: "d1-d6, w1-w1024, in|bn|..."
};
const std::vector<NetworkEntry>& network_table();

/// Builds from a specification: a name and its variants joined by dashes, "convnet",
/// "convnet-w32-d4-bn-maxpool-swish", "resnet18-bn-ap". ConfigError listing what is accepted.
std::unique_ptr<Network> make_network(const std::string& specification, const Shape& shape);

}  // namespace retort::nets
