// Networks in training, of every age: taken from the trajectories of experts.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "retort/core/random.h"
#include "retort/methods/method.h"
#include "retort/trajectories/trajectories.h"

namespace retort::methods {

/// Where networks come from.
struct PoolOptions {
  std::string experts;
  int64_t max_age = 0;  ///< epochs; 0: the experts' last

  void declare(OptionSet& set);
};

/// The trajectories of some experts, as a pool of networks.
class NetworkPool {
 public:
  /// ConfigError where no experts are given (`doing` opens the message), or they are too young.
  NetworkPool(const Context& context, const PoolOptions& options, const std::string& doing);

  int64_t experts() const { return trajectories_.count(); }
  /// The largest age: epochs of training.
  int64_t oldest() const { return oldest_; }
  /// float32 [P], on the device.
  at::Tensor network(int64_t expert, int64_t age) const;
  /// One of any expert and of any age from 0 to the oldest, all alike likely.
  at::Tensor any(RandomStream stream) const;
  /// For Objective::identity().
  std::string identity() const { return "experts " + trajectories_.fingerprint(); }

 private:
  const trajectories::Trajectories trajectories_;
  const at::Device device_;
  int64_t oldest_ = 0;
};

/// Null where no experts are given.
std::unique_ptr<const NetworkPool> optional_pool(const Context& context, const PoolOptions& options,
                                                 const std::string& doing);

}  // namespace retort::methods
