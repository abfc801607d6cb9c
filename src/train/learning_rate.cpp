#include "train/learning_rate.h"

#include <algorithm>

#include "optim/schedule.h"

namespace retort::train {

double learning_rate_at(const TrainOptions& options, int64_t epoch, int64_t batch,
                        int64_t batches) {
  if (options.warmup_steps > 0) {
    const int64_t steps = options.epochs * batches;
    const int64_t warmup = std::min(options.warmup_steps, steps / 2);
    const optim::Schedule schedule(options.schedule,
                                   {.steps = static_cast<double>(warmup), .from = 0});
    return options.learning_rate * schedule.factor(epoch * batches + batch, steps);
  }
  const int64_t end = options.schedule_epochs > 0 ? options.schedule_epochs : options.epochs;
  const optim::Schedule schedule(options.schedule,
                                 {.steps = static_cast<double>(options.warmup_epochs)});
  return options.learning_rate * schedule.factor(epoch, end);
}

bool resets_before(const TrainOptions& options, int64_t epoch) {
  // Where `drop` drops: the published code makes a new SGD with the new rate.
  return options.schedule == "drop" && epoch == options.epochs / 2 + 2;
}

int64_t passes(const TrainOptions& options) {
  return options.schedule == "drop" ? options.epochs + 1 : options.epochs;
}

}  // namespace retort::train
