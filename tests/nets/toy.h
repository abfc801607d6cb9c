// Small batches for the tests of networks, drawn from named streams, on the device of the tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "retort/core/random.h"
#include "retort/nets/network.h"
#include "support/device.h"

namespace retort::tests {

inline at::Tensor normals(std::vector<int64_t> shape, uint64_t seed,
                          at::ScalarType type = at::kDouble) {
  at::Tensor values = at::empty(shape);
  RandomStream(seed, "test.normals").fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(device(), type);
}

inline at::Tensor classes(int64_t count, int64_t of, uint64_t seed) {
  at::Tensor values = at::empty({count}, at::kLong);
  RandomStream stream(seed, "test.classes");
  for (int64_t i = 0; i < count; ++i) values.data_ptr<int64_t>()[i] = stream.uniform_int(of);
  return values.to(device());
}

/// The largest difference relative to the largest value of `wanted`.
inline double difference(const at::Tensor& found, const at::Tensor& wanted) {
  const double scale = wanted.abs().max().item<double>();
  return (found.to(wanted.device()) - wanted).abs().max().item<double>() / (scale > 0 ? scale : 1);
}

/// A network as `network`, with that engine alone.
inline std::unique_ptr<nets::Network> restricted(const nets::Network& network,
                                                 const std::string& engine) {
  auto other = nets::make_network(network.name(), network.shape());
  other->restrict_to(engine);
  return other;
}

/// A small network with its parameters away from symmetric values, and a batch for it.
struct Toy {
  Toy(const std::string& specification, int64_t rows, int64_t side = 8, int64_t channels = 3,
      at::ScalarType type = at::kDouble)
      : net(nets::make_network(specification, {channels, side, side, 4})) {
    const int64_t size = net->parameters().size;
    inputs.theta = net->initial(RandomStream(1, "test.theta")).to(device(), type) +
                   0.1 * normals({size}, 2, type);
    inputs.state = net->initial_state().to(device(), type);
    inputs.images = normals({rows, channels, side, side}, 3, type);
    hard = {classes(rows, 4, 4)};
    soft = {at::softmax(normals({rows, 4}, 5, type), 1)};
  }
  std::unique_ptr<nets::Network> net;
  nets::Inputs inputs;
  losses::Targets hard, soft;
};

/// Fourth-order central difference of `f` along `direction` at `x`.
inline at::Tensor slope(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x,
                        const at::Tensor& direction, double step = 1e-4) {
  const auto pair = [&](double h) { return f(x + h * direction) - f(x - h * direction); };
  return (8 * pair(step) - pair(2 * step)) / (12 * step);
}

}  // namespace retort::tests
