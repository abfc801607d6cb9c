// What a method is: an Objective driven by the one distillation loop, or a Selector that makes a
// set directly. docs/adding_a_method.md walks through one.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "retort/core/options.h"
#include "retort/core/process_group.h"
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
  const ProcessGroup* group = &ProcessGroup::alone();  ///< whom the work is shared with
  int64_t iterations = 0;                              ///< how many the whole run has
  ProgressStyle progress = {};  ///< where a Selector shows its work, which the loop cannot count
};

/// The synthetic set as an objective sees it: decoded images, grouped by class.
struct SyntheticSet {
  at::Tensor images;             ///< [M, C, H, W], no graph
  at::Tensor labels;             ///< int64 [M]
  std::vector<int64_t> offsets;  ///< class c is rows offsets[c]..offsets[c + 1] - 1
  int64_t offset(int64_t c) const { return offsets.data()[c]; }
};

/// What an objective gives back.
struct Cotangents {
  double loss = 0;                       ///< printed and recorded
  at::Tensor images;                     ///< dL/dX, [M, C, H, W]
  std::vector<at::Tensor> learned = {};  ///< gradients of learned(), in its order
  bool skip = false;                     ///< nothing is to be moved by this value (DATM's rule)
};

/// A scalar to descend, at the steps of every iteration. A new run asks for starting_images() and
/// calls start(), one that goes on calls restore(); then, for every iteration in order, begin()
/// once and evaluate() for step 0, 1, ..., steps() - 1.
class Objective {
 public:
  virtual ~Objective() = default;
  /// The images [M, C, H, W] that a new run starts from. `images` are what the options ask for, or
  /// those of a bundle that was `given`.
  virtual at::Tensor starting_images(const at::Tensor& images, [[maybe_unused]] bool given) {
    return images;
  }
  /// A new run starts with this set, as it is decoded: what is learned beside it begins to fit it.
  virtual void start(const SyntheticSet&) {}
  /// Draws what iteration `iteration` needs, every draw keyed by it, and brings what it keeps up to
  /// the set, which is as the iteration before has left it.
  virtual void begin(int64_t iteration, const SyntheticSet& set) = 0;
  /// Loss and cotangents at the set as it is at a step. Asked again for the same step, it answers
  /// for another set without having gone on.
  virtual Cotangents evaluate(const SyntheticSet& set, int64_t step) = 0;
  /// Image steps within one iteration (DC's matching steps); most have one.
  virtual int64_t steps() const { return 1; }
  /// The rows of the set that this process moves, where other processes or jobs move the rest and
  /// none needs the others': evaluate() leaves the cotangents of the rest zero. Nothing: every
  /// process gives the cotangents of all rows.
  virtual std::optional<std::vector<int64_t>> rows() const { return {}; }
  /// What it works with beside data and options, by content: "teacher 0123456789abcdef". A run goes
  /// on with the same alone. Empty: with nothing.
  virtual std::string identity() const { return {}; }
  /// All that it must resume with at the start of an iteration; most have none.
  virtual TensorMap state() const { return {}; }
  virtual void restore(const TensorMap&) {}
  /// What it learns beside the images; the loop moves it and keeps it in the checkpoint. Always the
  /// same groups, of the same tensors.
  virtual std::vector<synthetic::ParameterGroup> learned() { return {}; }
  /// True where an iteration does not depend on how many follow: a finished run may then be given
  /// more of them. What learned() says of schedules need not be told here.
  virtual bool open_ended() const { return true; }
  /// Adds what belongs to the result beside the images: soft labels, the student's rate.
  virtual void complete(synthetic::Bundle&) const {}
  /// Above 0, the result is the moving average of the set with this decay (FTD).
  virtual double average_decay() const { return 0; }
};

/// A set made from real images without descent, by one of the two.
class Selector {
 public:
  virtual ~Selector() = default;
  /// Training rows: layout.counts[c] of class c for every class, in the order of the set.
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

/// A method: its options, and its objective or selector. Made anew for every run.
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

/// A method with one struct of options and an objective that is made of them: what most are.
/// `Made` is constructed from the context and the options, which have declare(OptionSet&).
template <class Options, class Made>
class MethodOf : public Method {
 public:
  explicit MethodOf(LoopDefaults defaults, std::vector<std::string> deviations = {},
                    Options options = {})
      : options_(std::move(options)),
        defaults_(std::move(defaults)),
        deviations_(std::move(deviations)) {}
  void declare(OptionSet& set) override { options_.declare(set); }
  LoopDefaults defaults() const override { return defaults_; }
  std::vector<std::string> deviations() const override { return deviations_; }
  std::unique_ptr<Objective> objective(const Context& context) override {
    return std::make_unique<Made>(context, options_);
  }

 protected:
  Options options_;

 private:
  const LoopDefaults defaults_;
  const std::vector<std::string> deviations_;
};

/// A row of the table of methods.
struct MethodEntry {
  std::string name;
  std::string summary;
  std::string paper;
  std::function<std::unique_ptr<Method>()> make;
};
const std::vector<MethodEntry>& method_table();

}  // namespace retort::methods
