// Optimizers: how a tensor moves along its gradients.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace retort::optim {

/// Moves one tensor along its gradients. Not thread-safe: each tensor has an optimizer of its own.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Changes `value` in place by one step. Its shape, and that of `gradient`, which is left as it
  /// is, are those of the tensor that the optimizer was made for.
  virtual void step(const at::Tensor& value, const at::Tensor& gradient, double rate) = 0;
  /// What it remembers of the steps so far, by name. These are the tensors themselves: a checkpoint
  /// stores them, and copying into them goes on from there. All zeros in a new optimizer.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Forgets all steps, as a new optimizer.
  void reset();
};

/// Which optimizer, and its constants.
struct OptimizerOptions {
  std::string name = "sgd";  ///< of optimizer_table()
  double momentum = 0.9;     ///< of sgd; beta1 of the others
  double beta2 = 0.999;      ///< of all but sgd
  double weight_decay = 0;   ///< of those that have one; sgd adds it to the gradient
  at::Tensor decaying = {};  ///< 1 where a number decays and 0 elsewhere; undefined: all decay
  /// Sgd adds the decay to the velocity after the gradient: the same rule, rounded in another
  /// order. It is apart for the last bits of the teachers that were trained so.
  bool late_decay = false;
};

/// An optimizer by name.
struct OptimizerEntry {
  std::string_view name, summary;
  std::unique_ptr<Optimizer> (*make)(const OptimizerOptions&, const at::Tensor& like);
  bool decays = false;  ///< it has a weight decay
};
const std::vector<OptimizerEntry>& optimizer_table();
std::vector<std::string> optimizer_names();

/// An optimizer for tensors of the shape, type and device of `like`. ConfigError on an unknown name
/// and on a decay that the optimizer does not have.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const at::Tensor& like);

/// x <- x - rate g and nothing else. The product is rounded before it is subtracted, while sgd
/// without momentum may round once: it is apart from sgd for these last bits alone.
std::unique_ptr<Optimizer> make_plain_descent();

}  // namespace retort::optim
