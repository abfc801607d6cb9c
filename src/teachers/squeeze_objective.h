// What a teacher is trained for: a loss of views of images and its gradient by the network and by
// a head that is thrown away.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "retort/core/random.h"
#include "retort/io/tensor_file.h"
#include "retort/nets/network.h"
#include "teachers/squeeze.h"

namespace retort::teachers {

/// What is learned.
struct Learner {
  at::Tensor theta;  ///< [P]
  at::Tensor state;  ///< [S]
  at::Tensor head;   ///< [Q]; empty where the objective has none
};

/// A batch's mean loss, its gradients, and the new running statistics.
struct LearnerStep {
  at::Tensor loss, theta, head, state;
};

class SqueezeObjective {
 public:
  virtual ~SqueezeObjective() = default;
  /// Independent views of each image that a step wants.
  virtual int64_t views() const = 0;
  virtual at::Tensor initial_head(RandomStream stream) const = 0;
  /// Called before the first step, not where memory is restored.
  virtual void begin(const Learner&) {}
  /// `stream` is the step's own.
  virtual LearnerStep step(const Learner& now, const std::vector<at::Tensor>& views,
                           const at::Tensor& labels, RandomStream stream) = 0;
  /// What it carries from step to step.
  virtual TensorMap memory() const { return {}; }
  virtual void restore(const TensorMap&) {}
};

/// The one that the options name.
std::unique_ptr<SqueezeObjective> make_squeeze_objective(const SqueezeOptions& options,
                                                         const nets::Network& network,
                                                         at::Device device);

}  // namespace retort::teachers
