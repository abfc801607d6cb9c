// The state of a distillation between iterations: parameters, momentum, objective; what a
// checkpoint holds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "retort/methods/distill.h"

namespace retort::methods {

/// Stochastic gradient descent on the synthetic set: v <- momentum v + g; p <- p - rate v.
class OuterLoop {
 public:
  OuterLoop(const DistillOptions& options,
            std::unique_ptr<synthetic::Parametrisation> parametrisation,
            std::unique_ptr<Objective> objective);

  /// One iteration; returns its loss. StateError when the loss or a gradient is not finite.
  double step(int64_t iteration);
  /// Writes all that the next iteration needs.
  void save(const std::filesystem::path& path, int64_t iteration, const std::string& data_hash);
  /// Restores it and returns the iteration to go on with; StateError where it does not fit.
  int64_t load(const std::filesystem::path& path, const std::string& data_hash);
  /// The set as the result has it: the parameters, or their moving average where the method asks
  /// for one.
  at::Tensor result() const;
  const synthetic::Parametrisation& set() const { return *parametrisation_; }
  const Objective& objective() const { return *objective_; }

 private:
  /// Everything that a checkpoint holds of the loop, by name; the tensors themselves.
  TensorMap tensors() const;

  const DistillOptions& options_;
  std::unique_ptr<synthetic::Parametrisation> parametrisation_;
  std::unique_ptr<Objective> objective_;
  std::vector<at::Tensor> velocity_, average_;  // one a parameter group; averages may be none
  std::vector<Learned> learned_;
  std::vector<at::Tensor> learned_velocity_;
  View view_;
};

}  // namespace retort::methods
