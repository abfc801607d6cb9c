// What bptt and dd share: a fresh network is trained on the synthetic set for N steps, and the loss
// of real images there is gone back through all of them (or the last ones).
#pragma once

#include <torch/types.h>

#include <utility>
#include <vector>

#include "augment/siamese.h"
#include "retort/data/class_sampler.h"
#include "retort/methods/method.h"
#include "retort/train/unroll.h"

namespace retort::methods {

class ThroughTraining : public Objective {
 public:
  explicit ThroughTraining(const Context& context);

  void begin(int64_t iteration, const SyntheticSet& set) override;
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override;

 protected:
  /// The iteration's inner steps, of rows of the set grouped by class as `offsets` says.
  virtual std::vector<train::UnrollStep> draw_steps(uint64_t iteration) = 0;
  /// Rows of the training part that the loss is taken on.
  virtual std::vector<int64_t> draw_real(uint64_t iteration) = 0;
  virtual train::UnrollOptions how() const = 0;
  /// Targets and rates of the inner training.
  virtual void prepare(const SyntheticSet& set, train::UnrollSet& inner) const = 0;
  /// Gradients of learned(), in its order.
  virtual std::vector<at::Tensor> gradients_of_learned(
      const train::UnrollGradient& found) const = 0;

  /// One operation for all `rows` of a batch (the reference's "pair" mode); undefined without any.
  at::Tensor augmentation(const char* purpose, uint64_t iteration, uint64_t step) const;
  const Context& context() const { return context_; }
  const data::ClassSampler& real() const { return real_; }

 private:
  /// The loss of the real batch and its gradient at theta.
  std::pair<double, at::Tensor> outer(const at::Tensor& theta) const;

  const Context context_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  at::Tensor start_, state_;  // theta_0 [P] and the statistics of networks that have them
  data::Batch real_batch_;    // that the loss is taken on
  std::vector<train::UnrollStep> steps_;
};

}  // namespace retort::methods
