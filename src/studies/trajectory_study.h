// What trajectory matching rests on, measured: how sharp the loss is along experts, and how far
// training on a distilled set strays from the expert that it was to follow (Du et al., CVPR 2023).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/synthetic/bundle.h"
#include "retort/trajectories/trajectories.h"

namespace retort::studies {

/// The eigenvalue of the Hessian of the mean cross-entropy that is largest in size, at theta [P] on
/// the given images and classes, by `rounds` of power iteration on `gradient_jvp`.
double top_eigenvalue(const nets::Network& network, const at::Tensor& theta,
                      const at::Tensor& images, const at::Tensor& labels, int64_t rounds,
                      RandomStream stream);

/// How a set's training is followed.
struct FollowOptions {
  int64_t inner_steps = 50;     ///< steps on the set for
  int64_t expert_epochs = 2;    ///< this many epochs of the expert
  double learning_rate = 0.01;  ///< where the set brings none
  uint64_t seed = 0;
};

/// A point along the training.
struct TrajectoryError {
  int64_t steps = 0, epochs = 0;
  double distance = 0;  ///< |theta - theta*_epochs| / |theta*_epochs - theta*_0|
};

/// Trains on the set from an expert's start, by plain SGD with the set's augmentation, and measures
/// after every `inner_steps`: errors accumulate, as they do for a student.
std::vector<TrajectoryError> follow(const nets::Network& network, const synthetic::Bundle& bundle,
                                    const trajectories::Trajectories& experts, int64_t expert,
                                    const FollowOptions& options, at::Device device);

}  // namespace retort::studies
