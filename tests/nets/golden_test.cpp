// Networks against the authors' own modules at the same parameters, float64 on both sides:
// tests/golden/README.md. Parameters and images are hashed numbers, of which Python makes the same.
#include <gtest/gtest.h>

#include "retort/nets/network.h"
#include "support/device.h"
#include "support/golden_tensors.h"

namespace retort::nets {
namespace {

using tests::Golden;
using tests::hashed;

/// Weights and biases in the range of PyTorch's defaults; scales of norms between 0.7 and 1.3.
at::Tensor hashed_theta(const Network& network) {
  at::Tensor theta = hashed({network.parameters().size}, 1);
  for (const Slot& slot : network.parameters().slots) {
    at::Tensor part = theta.narrow(0, slot.offset, slot.count);
    if (slot.start == Slot::Start::kUniform) part.mul_(slot.bound);
    if (slot.start == Slot::Start::kZeros) part.mul_(0.3);
    if (slot.start == Slot::Start::kOnes) part.mul_(0.3).add_(1);
  }
  return theta;
}

/// The product of every parameter's part of `vector` with hashed numbers: one number a parameter.
at::Tensor products(const Network& network, const at::Tensor& vector) {
  const at::Tensor by = hashed({network.parameters().size}, 3);
  std::vector<at::Tensor> sums;
  for (const Slot& slot : network.parameters().slots)
    sums.push_back((vector.to(at::kCPU, at::kDouble).narrow(0, slot.offset, slot.count) *
                    by.narrow(0, slot.offset, slot.count))
                       .sum());
  return at::stack(sums);
}

at::Tensor products_of_images(const at::Tensor& images) {
  return (images.to(at::kCPU, at::kDouble) * hashed(images.sizes().vec(), 4)).sum({1, 2, 3});
}

struct Case {
  const char* name;
  int64_t channels, side;
  bool curvature;  // whether second-order products are kept as well
};

class NetworkGolden : public testing::TestWithParam<Case> {
 protected:
  /// Everything in one precision; the largest differences relative to each answer.
  void expect(at::ScalarType type, double tolerance) {
    const Case& c = GetParam();
    const auto network = make_network(c.name, {c.channels, c.side, c.side, 10});
    Golden golden(std::string("network_") + c.name + (c.channels == 1 ? "_grey" : ""));
    const at::Tensor labels = at::tensor({3, 7}, at::kLong);
    golden.input("labels", labels);
    const at::Device device = tests::device();
    Inputs inputs{hashed_theta(*network).to(device, type),
                  network->initial_state().to(device, type),
                  hashed({2, c.channels, c.side, c.side}, 2).mul(2).to(device, type)};
    const losses::Targets targets{labels.to(device)};
    const Gradient found = network->gradient(inputs, targets, {.images = true});
    golden.answer("logits", found.logits, tolerance);
    golden.answer("loss", found.loss, tolerance);
    golden.answer("d_theta", products(*network, found.theta), tolerance);
    golden.answer("d_images", products_of_images(found.images), tolerance);
    const at::Tensor features =
        network->observe(inputs, {"features"}).taps.at("features").to(at::kCPU, at::kDouble);
    golden.answer("features", (features * hashed(features.sizes().vec(), 6)).sum(1), tolerance);
    if (!c.curvature) return;
    const at::Tensor v = hashed({network->parameters().size}, 5).to(device, type);
    const GradientJvp along =
        network->gradient_jvp(inputs, targets, v, {.theta = true, .images = true});
    golden.answer("loss_along", along.loss, tolerance);
    golden.answer("theta_along", products(*network, along.theta), tolerance);
    golden.answer("images_along", products_of_images(along.images), tolerance);
  }
};

class FastNetworkGolden : public NetworkGolden {};

TEST_P(NetworkGolden, IsTheAuthorsInDouble) {
  expect(at::kDouble, 1e-9);
}

// The fast engine, where the network and the processor have it.
TEST_P(FastNetworkGolden, IsTheAuthorsInFloat) {
  expect(at::kFloat, 2e-3);
}

const Case kSmall[] = {{"convnet", 3, 32, true},
                       {"convnet", 1, 28, true},
                       {"convnet-d1-w32", 3, 32, true},
                       {"convnet-d2-w16-swish", 3, 32, true},
                       {"convnet-d4-w32", 3, 64, true},
                       {"convnet-w16-nonorm-sigmoid", 3, 32, true},
                       {"convnet-w16-ln-leaky", 3, 32, true},
                       {"convnet-w16-gn-maxpool", 3, 32, true},
                       {"convnet-w16-bn-nopool", 3, 32, true},
                       {"convnet-bn-swish", 3, 32, true},
                       {"mlp", 3, 32, true},
                       {"lenet", 3, 32, true},
                       {"lenet", 1, 28, true},
                       {"alexnet", 3, 32, true}};
const Case kLarge[] = {{"alexnet-bn", 3, 32, false},  {"vgg11", 3, 32, true},
                       {"vgg11-bn", 3, 32, false},    {"resnet18", 3, 32, true},
                       {"resnet18-bn", 3, 32, false}, {"resnet18-bn-ap", 3, 32, false}};
INSTANTIATE_TEST_SUITE_P(Small, NetworkGolden, testing::ValuesIn(kSmall));
INSTANTIATE_TEST_SUITE_P(Large, NetworkGolden, testing::ValuesIn(kLarge));
INSTANTIATE_TEST_SUITE_P(Small, FastNetworkGolden, testing::ValuesIn(kSmall));

}  // namespace
}  // namespace retort::nets
