// Every kind of network on the device beside the same on the CPU, in float64.
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"
#include "support/device.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::Toy;

Inputs on(const Inputs& inputs, at::Device device) {
  Inputs moved = inputs;
  for (at::Tensor* one : {&moved.theta, &moved.state, &moved.images})
    if (one->defined()) *one = one->to(device);
  return moved;
}

class DeviceNetwork : public testing::TestWithParam<const char*> {};

TEST_P(DeviceNetwork, DerivativesAreTheCpus) {
  const std::string name = GetParam();
  const Toy toy(name, 4, name.starts_with("convnet") ? 8 : 32);
  const at::Device device = tests::other_device();
  const Inputs here = on(toy.inputs, at::kCPU), there = on(toy.inputs, device);
  const losses::Targets soft{toy.soft.values.to(at::kCPU)}, soft_there{toy.soft.values.to(device)};
  const Gradient g = toy.net->gradient(here, soft, {.images = true, .targets = true}),
                 h = toy.net->gradient(there, soft_there, {.images = true, .targets = true});
  EXPECT_LT(difference(h.theta.cpu(), g.theta), 1e-9);
  EXPECT_LT(difference(h.images.cpu(), g.images), 1e-9);
  EXPECT_LT(difference(h.targets.cpu(), g.targets), 1e-9);
  EXPECT_LT(difference(h.loss.cpu(), g.loss), 1e-9);
  const at::Tensor v = tests::normals({here.theta.numel()}, 6).to(at::kCPU);
  const GradientJvp a = toy.net->gradient_jvp(here, soft, v,
                                              {.theta = true, .images = true, .targets = true}),
                    b = toy.net->gradient_jvp(there, soft_there, v.to(device),
                                              {.theta = true, .images = true, .targets = true});
  EXPECT_LT(difference(b.loss.cpu(), a.loss), 1e-9);
  EXPECT_LT(difference(b.theta.cpu(), a.theta), 1e-9);
  EXPECT_LT(difference(b.images.cpu(), a.images), 1e-9);
  EXPECT_LT(difference(b.targets.cpu(), a.targets), 1e-9);
  EXPECT_LT(difference(toy.net->predict(there.theta, there.state, there.images).cpu(),
                       toy.net->predict(here.theta, here.state, here.images)),
            1e-9);
}

TEST_P(DeviceNetwork, SameInputsGiveTheSameBytesInFloat) {
  const std::string name = GetParam();
  const Toy toy(name, 4, name.starts_with("convnet") ? 8 : 32, 3, at::kFloat);
  const Inputs there = on(toy.inputs, tests::other_device());
  const losses::Targets soft{toy.soft.values.to(there.theta.device())};
  const at::Tensor v = there.theta.mul(0.5);
  const GradientJvp a = toy.net->gradient_jvp(there, soft, v, {.theta = true, .images = true}),
                    b = toy.net->gradient_jvp(there, soft, v, {.theta = true, .images = true});
  EXPECT_TRUE(a.theta.equal(b.theta));
  EXPECT_TRUE(a.images.equal(b.images));
}

// Smooth, and with every norm, pooling and family.
INSTANTIATE_TEST_SUITE_P(Kinds, DeviceNetwork,
                         testing::Values("convnet-w4-d2", "convnet-w4-d2-bn-swish",
                                         "convnet-w4-d2-swish-gn-maxpool", "convnet-w4-d1-ln-leaky",
                                         "convnet-w4-d2-tanh-nonorm-nopool",
                                         "convnet-w4-d2-in-maxpool", "mlp", "lenet", "alexnet",
                                         "alexnet-bn", "vgg11", "vgg11-bn", "resnet18",
                                         "resnet18-bn", "resnet18-bn-ap", "wideconv-w4-d2"));

}  // namespace
}  // namespace retort::nets
