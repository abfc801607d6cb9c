// What changes while a teacher is trained: the learner, its velocities, the objective's memory; and
// the checkpoint that keeps them.
#pragma once

#include <filesystem>
#include <memory>

#include "optim/optimizer.h"
#include "teachers/squeeze_objective.h"

namespace retort::teachers {

/// The stream of a draw of this training.
RandomStream squeeze_stream(const SqueezeOptions& options, const char* purpose, int64_t a = 0,
                            int64_t b = 0, int64_t c = 0);

class SqueezeState {
 public:
  /// `input` must outlive it.
  explicit SqueezeState(const SqueezeInput& input);
  /// Independent views of each image that a step wants.
  int64_t views() const { return objective_->views(); }
  const Learner& learner() const { return now_; }

  /// Begins anew.
  void begin();
  /// One step of SGD on a batch: `views` of the same images and their labels, on the device. The
  /// batch's mean loss.
  at::Tensor step(const std::vector<at::Tensor>& views, const at::Tensor& labels, int64_t epoch,
                  int64_t batch);
  void save(const std::filesystem::path& path, int64_t epochs) const;
  /// The number of epochs done; DataError or StateError where the file does not fit.
  int64_t load(const std::filesystem::path& path);

 private:
  void set(Learner learner);

  const SqueezeInput& input_;
  const SqueezeOptions& options_;
  std::unique_ptr<SqueezeObjective> objective_;
  Learner now_;
  std::unique_ptr<optim::Optimizer> theta_optimizer_, head_optimizer_;
};

/// The learning rate of an epoch: half a cosine to 0, after the warm-up.
double squeeze_rate(const SqueezeOptions& options, int64_t epoch);

}  // namespace retort::teachers
