// The state of a distillation between iterations: parameters, momentum, objective; what a
// checkpoint holds.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "retort/methods/distill.h"

namespace retort::methods {

/// The set as a result has it.
struct Decoded {
  at::Tensor images;  ///< [M, C, H, W]
  TensorMap compact;  ///< what they were decoded from
};

/// Descent on the synthetic set and on what the objective learns beside it.
class OuterLoop {
 public:
  OuterLoop(const DistillOptions& options,
            std::unique_ptr<synthetic::Parametrisation> parametrisation,
            std::unique_ptr<Objective> objective,
            const ProcessGroup& group = ProcessGroup::alone());

  /// One iteration; returns its loss. StateError when the loss or a gradient is not finite.
  double step(int64_t iteration);
  /// Brings the rows that other processes move to what they are there: before what reads all of
  /// them. A call of all processes of the group.
  void collect();
  /// The rows that the group moves, ascending; empty where these are all. A call of all.
  std::vector<int64_t> moved() const;
  /// Writes all that the next iteration needs.
  void save(const std::filesystem::path& path, int64_t iteration, const std::string& data_hash);
  /// Where a run goes on, and what is to be said of it.
  struct Resumed {
    int64_t iteration = 0;
    std::string note;
  };
  /// Restores it, or the one before where it is damaged; StateError where it does not fit.
  Resumed load(const std::filesystem::path& path, const std::string& data_hash);
  /// The set as the result has it: the parameters, or their moving average where the method asks
  /// for one.
  Decoded result() const;
  /// The parameters' own set, where the result is of their average.
  std::optional<Decoded> not_averaged() const;
  const Objective& objective() const { return *objective_; }
  /// The images that the last step began with, and what is learned beside them.
  const at::Tensor& images() const { return set_.images; }
  const std::vector<synthetic::ParameterGroup>& learned() const { return learned_; }

 private:
  void add_optimizer(const synthetic::ParameterGroup& group);
  void move(std::vector<at::Tensor> gradients, int64_t iteration);
  void require_all_finite(int64_t iteration) const;
  /// The set that the parameters stand for now.
  Decoded decoded() const;
  /// Everything that a checkpoint holds of the loop, by name; the tensors themselves.
  TensorMap tensors() const;

  const DistillOptions& options_;
  std::unique_ptr<synthetic::Parametrisation> parametrisation_;
  std::unique_ptr<Objective> objective_;
  std::vector<synthetic::ParameterGroup> groups_;
  std::vector<synthetic::ParameterGroup> learned_;
  std::vector<std::unique_ptr<optim::Optimizer>> optimizers_;  // of groups_, then of learned_
  std::vector<optim::Schedule> schedules_;                     // in the same order
  std::vector<at::Tensor> average_;                            // of the groups; may be none
  SyntheticSet set_;
  const ProcessGroup& group_;
  std::optional<std::vector<int64_t>> rows_;  // of this process
  bool apart_ = false;                        // each process moves its rows alone
};

}  // namespace retort::methods
