#include "methods/matching/network_pool.h"

#include <fmt/format.h>

#include "retort/core/error.h"

namespace retort::methods {
namespace {

const std::string& given(const std::string& experts, const std::string& doing) {
  if (!experts.empty()) return experts;
  throw ConfigError(ErrorMessage{doing, "no experts are given", "--experts and their folder",
                                 "`retort experts` makes one"});
}

}  // namespace

void PoolOptions::declare(OptionSet& set) {
  set.add("experts", experts,
          "folder of expert trajectories, whose snapshots are the networks; `retort experts` makes "
          "one",
          {}, Role::kExecution);
  set.add("max_age", max_age, "networks were trained for at most this many epochs; 0: any number",
          {.min = 0});
}

NetworkPool::NetworkPool(const Context& context, const PoolOptions& options,
                         const std::string& doing)
    : trajectories_(given(options.experts, doing), context.data, context.network),
      device_(context.device),
      oldest_(options.max_age > 0 ? options.max_age : trajectories_.epochs()) {
  if (oldest_ <= trajectories_.epochs()) return;
  throw ConfigError(ErrorMessage{doing,
                                 fmt::format("--max-age {}, and the experts have {} epochs",
                                             options.max_age, trajectories_.epochs()),
                                 fmt::format("at most {}", trajectories_.epochs()),
                                 "or train experts for longer"});
}

at::Tensor NetworkPool::network(int64_t expert, int64_t age) const {
  return trajectories_.snapshot(expert, age).to(device_);
}

at::Tensor NetworkPool::any(RandomStream stream) const {
  const int64_t expert = stream.uniform_int(experts());
  return network(expert, stream.uniform_int(oldest() + 1));
}

std::unique_ptr<const NetworkPool> optional_pool(const Context& context, const PoolOptions& options,
                                                 const std::string& doing) {
  if (options.experts.empty()) return nullptr;
  return std::make_unique<const NetworkPool>(context, options, doing);
}

}  // namespace retort::methods
