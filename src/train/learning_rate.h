// What the options of a training say of its learning rate, epoch by epoch.
#pragma once

#include <cstdint>

#include "retort/train/trainer.h"

namespace retort::train {

/// The learning rate of an epoch (from 0) at one of its batches; ConfigError on an unknown
/// schedule.
double learning_rate_at(const TrainOptions& options, int64_t epoch, int64_t batch = 0,
                        int64_t batches = 1);

/// True where the published protocol makes a new optimizer before this epoch.
bool resets_before(const TrainOptions& options, int64_t epoch);

}  // namespace retort::train
