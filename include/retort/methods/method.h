// What a method is: an Objective driven by the one distillation loop, or a Selector that makes a
// set directly. docs/adding_a_method.md walks through one.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/core/progress.h"
#include "retort/core/share.h"
#include "retort/data/dataset.h"
#include "retort/io/tensor_file.h"
#include "retort/nets/network.h"
#include "retort/synthetic/bundle.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::methods {

/// What a method works with. All of it outlives the objective.
struct Context {
  const data::Dataset& data;
  const nets::Network& network;
  const synthetic::SetLayout& layout;
  std::string augmentation;  ///< a DSA strategy
  uint64_t seed = 0;
  at::Device device;
  Share share = {};
  int64_t iterations = 0;       ///< of the whole run
  ProgressStyle progress = {};  ///< of a Selector, whose work the loop cannot count
};

/// The synthetic set as an objective sees it: decoded images, grouped by class.
struct SyntheticSet {
  at::Tensor images;             ///< [M, C, H, W], no graph
  at::Tensor labels;             ///< int64 [M]
  std::vector<int64_t> offsets;  ///< class c is rows offsets[c]..offsets[c + 1] - 1
};

/// A tensor beside the images that the outer optimizer moves: label logits, the student's rate.
struct Learned {
  std::string name;
  at::Tensor value;  ///< the objective's own; updated in place as the images are, at its own rate
  double learning_rate = 0;
  double momentum = 0;
};

/// What an objective gives back.
struct Cotangents {
  double loss = 0;                       ///< printed and recorded
  at::Tensor images;                     ///< dL/dX, [M, C, H, W]
  std::vector<at::Tensor> learned = {};  ///< gradients of learned(), in its order
  bool skip = false;                     ///< nothing is to be moved by this value (DATM's rule)
};

/// A scalar to descend, one value an iteration.
class Objective {
 public:
  virtual ~Objective() = default;
  /// Draws what iteration `iteration` needs; every draw is keyed by it.
  virtual void begin(int64_t iteration) = 0;
  /// Loss and cotangents at the set as it is; may be called several times an iteration.
  virtual Cotangents cotangents(const SyntheticSet& view) = 0;
  /// Image steps within one iteration (DC's matching steps); most have one.
  virtual int64_t steps() const { return 1; }
  /// All that it must resume with at the start of an iteration; most have none.
  virtual TensorMap state() const { return {}; }
  virtual void restore(const TensorMap&) {}
  /// What it learns beside the images; the loop moves it and keeps it in the checkpoint.
  virtual std::vector<Learned> learned() { return {}; }
  /// A new run starts: `images` [M, C, H, W] are what the options ask for, or those of a bundle
  /// that was `given`. Returns the images to start from.
  virtual at::Tensor start(const at::Tensor& images, [[maybe_unused]] bool given) { return images; }
  /// Adds what belongs to the result beside the images: soft labels, the student's rate.
  virtual void complete(synthetic::Bundle&) const {}
  /// Above 0, the result is the moving average of the set with this decay (FTD).
  virtual double average_decay() const { return 0; }
};

/// A set made from real images without descent, by one of the two.
class Selector {
 public:
  virtual ~Selector() = default;
  /// Training rows: geometry.counts[c] of class c for every class, in the order of the set.
  virtual std::vector<int64_t> select() { return {}; }
  /// Images [M, C, H, W] put together of real ones, in that order; undefined: rows are taken.
  virtual at::Tensor compose() { return {}; }
};

/// Settings of the outer loop that a method suggests; flags and recipes override them.
struct LoopDefaults {
  int64_t iterations = 1000;
  double image_learning_rate = 1.0;
  double image_momentum = 0.5;
  std::string initialisation = "real";
  std::string network = "convnet";
  std::string protocol = "dm";
  std::string augmentation = "auto";
  std::string image_optimiser = "sgd";
  std::string image_schedule = "constant";
  double clip_norm = 0;
  double image_beta2 = 0.999;
  bool clamp_pixels = false;
};

/// A method: its options, and its objective or builder. Made anew for every run.
class Method {
 public:
  virtual ~Method() = default;
  virtual void declare(OptionSet&) {}
  virtual LoopDefaults defaults() const { return {}; }
  /// Where it differs from the reference code or paper, one sentence each.
  virtual std::vector<std::string> deviations() const { return {}; }
  /// One of the two is not null.
  virtual std::unique_ptr<Objective> objective(const Context&) { return nullptr; }
  virtual std::unique_ptr<Selector> selector(const Context&) { return nullptr; }
};

/// A row of the table of methods.
struct MethodEntry {
  std::string name;
  std::string summary;
  std::string paper;
  std::unique_ptr<Method> (*make)();
};
const std::vector<MethodEntry>& method_table();

}  // namespace retort::methods
