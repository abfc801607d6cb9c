// Optimisers of a flat parameter vector and the schedules of their learning rate.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>

#include "retort/train/trainer.h"

namespace retort::train {

/// Moves theta along a gradient, in place.
class Optimiser {
 public:
  virtual ~Optimiser() = default;
  virtual void step(at::Tensor& theta, const at::Tensor& gradient, double learning_rate) = 0;
  /// Forgets moments and step count, as a newly made optimiser.
  virtual void reset() = 0;
};

/// What Adam remembers of one vector; undefined tensors before the first step.
struct AdamMoments {
  int64_t steps = 0;
  at::Tensor first, second;
};

/// One step of Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019; betas 0.9 and
/// 0.999, epsilon 1e-8) on theta, in place.
void adam_step(at::Tensor& theta, const at::Tensor& gradient, AdamMoments& moments,
               double learning_rate, double decay = 0);

/// The optimiser that the options name; ConfigError on an unknown name. `decaying` [P] says by 1
/// and 0 what decays; undefined: everything.
std::unique_ptr<Optimiser> make_optimiser(const TrainOptions& options,
                                          const at::Tensor& decaying = {});

/// The learning rate of an epoch (from 0) at one of its batches; ConfigError on an unknown
/// schedule.
double learning_rate_at(const TrainOptions& options, int64_t epoch, int64_t batch = 0,
                        int64_t batches = 1);

/// True where the published protocol makes a new optimiser before this epoch.
bool resets_before(const TrainOptions& options, int64_t epoch);

}  // namespace retort::train
