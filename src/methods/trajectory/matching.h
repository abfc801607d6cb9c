// What MTT, FTD, TESLA and DATM share: a network trained for N steps on the synthetic set from a
// snapshot of an expert is to land where the expert was M epochs later.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "augment/siamese.h"
#include "retort/methods/method.h"
#include "retort/train/unroll.h"
#include "retort/trajectories/trajectories.h"

namespace retort::methods {

/// The options of every method that matches trajectories.
struct TrajectoryOptions {
  std::string experts;
  int64_t inner_steps = 30;      ///< N
  int64_t expert_epochs = 2;     ///< M
  int64_t max_start_epoch = 15;  ///< start epochs are below it
  int64_t synthetic_batch = 0;   ///< 0: the whole set in every step
  int64_t trajectories_per_step = 1;
  double student_learning_rate = 0.01;
  double student_rate_learning_rate = 1e-5;
  bool checkpoint_steps = false;

  void declare(OptionSet& set);
};

/// MTT's objective; the others change what the hooks say.
class TrajectoryMatching : public Objective {
 public:
  /// ConfigError where the network has running statistics, or the experts have too few epochs.
  TrajectoryMatching(const Context& context, const TrajectoryOptions& options);

  void begin(int64_t iteration, const SyntheticSet& set) override;
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override;
  std::vector<synthetic::ParameterGroup> learned() override;
  void complete(synthetic::Bundle& bundle) const override;
  std::string identity() const override { return "experts " + experts_.fingerprint(); }

 protected:
  /// Start epochs [first, second) of an iteration.
  virtual std::pair<int64_t, int64_t> start_epochs(int64_t iteration) const;
  /// What students are trained on: classes [M], or distributions [M, K].
  virtual at::Tensor targets(const SyntheticSet& set);
  /// Gradients of what is learned beside the rate, from the cotangent of the targets.
  virtual std::vector<at::Tensor> pullback_of_targets(const at::Tensor&) { return {}; }
  /// Whether a value of the loss is to be descended.
  virtual bool accepts(double) const { return true; }
  virtual bool with_hessian() const { return true; }

  const Context& context() const { return context_; }
  const trajectories::Trajectories& experts() const { return experts_; }
  const at::Tensor& target_theta() const { return end_; }  ///< theta* of the trajectory, [P]
  int64_t images() const { return context_.layout.size(); }

 private:
  /// What one trajectory says of the set.
  struct Pull {
    double loss = 0;
    at::Tensor images;                ///< undefined where it says nothing
    std::vector<at::Tensor> learned;  ///< in the order of learned()
  };

  /// Draws trajectory `index` of the run, counted over all iterations.
  void prepare(uint64_t index);
  void draw_steps(uint64_t index);
  Pull follow(const SyntheticSet& set);
  const ProcessGroup& group() const;  ///< that shares the trajectories of a step
  /// The mean of all processes' pulls, in order of their trajectories.
  Cotangents mean_of(const std::vector<Pull>& mine, const SyntheticSet& set);

  const Context context_;
  const TrajectoryOptions options_;
  const trajectories::Trajectories experts_;
  const augment::Strategy strategy_;
  at::Tensor rate_;  // float64 [1], learned
  int64_t iteration_ = 0;
  int64_t drawn_ = -1;      // the trajectory of the three below
  at::Tensor start_, end_;  // theta_0 and theta*
  std::vector<train::UnrollStep> steps_;
};

/// Of the methods that leave the defaults above as they are.
inline constexpr const char* kDefaultSteps =
    "Without options, an iteration takes 30 inner steps towards 2 epochs further on, from epochs "
    "below 15, which lies between the published settings; MTT's script has 20, 3 and 25.";

/// What all of them do differently from the reference codes; a method adds its own.
std::vector<std::string> trajectory_deviations(std::vector<std::string> own = {});

}  // namespace retort::methods
