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

/// The optimiser that the options name; ConfigError on an unknown name.
std::unique_ptr<Optimiser> make_optimiser(const TrainOptions& options);

/// The learning rate of an epoch (from 0); ConfigError on an unknown schedule.
double learning_rate_at(const TrainOptions& options, int64_t epoch);

/// True where the published protocol makes a new optimiser before this epoch.
bool resets_before(const TrainOptions& options, int64_t epoch);

}  // namespace retort::train
