// Training unrolled: N steps of SGD on a synthetic set forward, then the adjoint recursion back
// over the stored parameters, one `gradient_jvp` a step. The gradient is exact, and no graph of
// more than one step is ever alive (Maclaurin et al., ICML 2015; spec of MTT section 4.1).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/losses/losses.h"
#include "retort/nets/network.h"

namespace retort::train {

/// The rule of the inner training: v <- momentum v + g + decay theta; theta <- theta - rate v.
struct UnrollOptions {
  double momentum = 0;
  double weight_decay = 0;
  /// False leaves the Hessian out of the recursion: TESLA's approximation (Cui et al., ICML 2023).
  bool hessian = true;
  /// Keep about 2 sqrt(N) parameter vectors in place of N, and run the steps once more for it.
  bool checkpoints = false;
  /// Above 0: only the last so many steps are gone back through; what is before them is taken as
  /// given (truncated back-propagation through training, Feng et al., ICLR 2024).
  int64_t window = 0;
  nets::NormMode norm = nets::NormMode::kBatch;
  /// Bytes for what steps compute and the way back needs again; what does not fit is computed once
  /// more, to the same bits. Below 0: with a memory limit of the network, what it leaves to callers
  /// beside the parameters kept; without, kKeptPasses, in steps of at most kLargestKeptPass.
  int64_t pass_bytes = -1;
};

constexpr int64_t kKeptPasses = int64_t{256} << 20, kLargestKeptPass = int64_t{16} << 20;

/// One step's minibatch: rows of the set, and their augmentation.
struct UnrollStep {
  at::Tensor rows;     ///< int64 [n], on the CPU; undefined: the whole set in order
  at::Tensor augment;  ///< [n, 16] or [1, 16] rows of augment::apply, on the CPU; undefined: none
};

/// The set that is trained on; none of it carries a graph.
struct UnrollSet {
  at::Tensor images;   ///< [M, C, H, W]
  at::Tensor targets;  ///< int64 [M], or floating [M, K]: weights of the classes
  double learning_rate = 0;
  /// In place of learning_rate, a rate for every step; only without momentum.
  std::vector<double> step_rates = {};
};

/// What comes back from a cotangent of theta_N.
struct UnrollGradient {
  at::Tensor images;                    ///< [M, C, H, W]
  at::Tensor targets;                   ///< [M, K] where targets are floating
  double learning_rate = 0;             ///< where one rate is common to all steps
  at::Tensor theta;                     ///< by theta_0, or by theta where the window begins
  std::vector<double> step_rates = {};  ///< where each step has its own
};

/// One unrolled training. forward() once, then backward() once.
class Unroll {
 public:
  /// All arguments outlive it. `state` are the running statistics of networks that have them.
  Unroll(const nets::Network& network, const UnrollSet& set, std::vector<UnrollStep> steps,
         const UnrollOptions& options = {}, at::Tensor state = at::Tensor());

  /// Trains from theta [P]; returns theta_N. Losses of the steps are kept.
  at::Tensor forward(const at::Tensor& theta);
  /// The pullback of a cotangent [P] of theta_N.
  UnrollGradient backward(const at::Tensor& cotangent);
  /// The mean loss of every step, [N], after forward().
  const std::vector<at::Tensor>& losses() const { return losses_; }
  /// Steps whose passes are kept now, and what they take.
  struct KeptSteps {
    int64_t count = 0, bytes = 0;
  };
  KeptSteps kept_steps() const;

 private:
  struct Point {
    at::Tensor theta, velocity;  // velocity undefined: none yet
  };
  /// What the network is shown in a step, and what it left where that is kept.
  struct Shown {
    at::Tensor images;
    losses::Targets targets;
    std::shared_ptr<const nets::KeptPass> kept = {};
  };
  Shown shown(size_t step) const;
  /// The same as it was kept, which it then is no more.
  Shown take_shown(size_t step);
  double rate(size_t step) const;
  Point advance(const Point& from, size_t step, at::Tensor* loss);
  const at::Tensor& theta_of(size_t k);
  nets::Inputs inputs(const at::Tensor& theta, const at::Tensor& images) const;
  void scatter(const UnrollStep& step, const at::Tensor& cotangent, UnrollGradient& into) const;
  void scatter_targets(const UnrollStep& step, const at::Tensor& cotangent,
                       UnrollGradient& into) const;

  const nets::Network& network_;
  const UnrollSet& set_;
  const std::vector<UnrollStep> steps_;
  const UnrollOptions options_;
  const at::Tensor state_;
  size_t first_ = 0;                 // step that the window begins with
  size_t stride_ = 1;                // steps between kept points
  at::Tensor first_velocity_;        // before that step; undefined: none yet
  std::vector<Point> kept_;          // at steps first, first + stride, first + 2 stride...
  std::vector<at::Tensor> segment_;  // theta of one stretch between kept points
  size_t segment_begin_ = 0;
  std::vector<at::Tensor> losses_;
  std::vector<Shown> shown_;              // by step; without `kept`: nothing
  int64_t pass_bytes_ = 0, largest_ = 0;  // that passes may still take; one of them
};

}  // namespace retort::train
