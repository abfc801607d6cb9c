// Experts whose snapshots are hashed numbers: the same on every machine, and no two alike.
#pragma once

#include "retort/trajectories/trajectories.h"
#include "support/golden_tensors.h"
#include "support/support.h"
#include "trajectories/trajectory_file.h"

namespace retort::tests {

/// What every snapshot of an expert is near to: PyTorch's spread of weights, norms near one.
inline at::Tensor hashed_theta(const nets::Network& network, uint32_t salt) {
  at::Tensor theta = hashed({network.parameters().size}, salt);
  for (const nets::Slot& slot : network.parameters().slots) {
    at::Tensor part = theta.narrow(0, slot.offset, slot.count);
    if (slot.start == nets::Slot::Start::kUniform) part.mul_(slot.bound);
    if (slot.start == nets::Slot::Start::kZeros) part.mul_(0.3);
    if (slot.start == nets::Slot::Start::kOnes) part.mul_(0.3).add_(1);
  }
  return theta;
}

/// float32 [P] of an expert after an epoch.
inline at::Tensor hashed_snapshot(const nets::Network& network, int64_t expert, int64_t epoch) {
  const at::Tensor start = hashed_theta(network, static_cast<uint32_t>(expert));
  const at::Tensor way =
      hashed({network.parameters().size}, static_cast<uint32_t>(100 + 10 * expert + epoch));
  return (start + 0.01 * static_cast<double>(epoch) * way).to(at::kFloat);
}

/// Writes `count` experts of `epochs` epochs.
inline void write_hashed_experts(const std::filesystem::path& folder, const data::Dataset& data,
                                 const nets::Network& network, int64_t count, int64_t epochs) {
  std::filesystem::create_directories(folder);
  for (int64_t expert = 0; expert < count; ++expert) {
    trajectories::TrajectoryPlan plan;
    plan.folder = folder;
    plan.expert = expert;
    plan.epochs = epochs;
    plan.parameters = network.parameters().size;
    plan.metadata = trajectories::fit_of(data, network);
    const auto growing = trajectories::GrowingTrajectory::claim(trajectories::complete(plan));
    growing->open();
    for (int64_t epoch = 0; epoch <= epochs; ++epoch)
      growing->write(epoch, hashed_snapshot(network, expert, epoch), 1.0);
    growing->finish(0.5);
  }
}

}  // namespace retort::tests
