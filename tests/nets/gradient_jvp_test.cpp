// gradient_jvp against finite differences of gradient in double.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::Toy;

class SmoothGradientJvp : public testing::TestWithParam<const char*> {};

TEST_P(SmoothGradientJvp, AgreesWithFiniteDifferencesOfTheGradient) {
  const Toy toy(GetParam(), 3);
  const losses::Targets kl{normals({3, 4}, 12), losses::Kind::kKl, 2.0};
  for (const losses::Targets& targets : {toy.soft, kl}) {
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
    const GradientJvp found = toy.net->gradient_jvp(
        toy.inputs, targets, v, {.theta = true, .images = true, .targets = true});
    const double step = 1e-5;
    Inputs ahead = toy.inputs, behind = toy.inputs;
    ahead.theta = toy.inputs.theta + step * v;
    behind.theta = toy.inputs.theta - step * v;
    const Gradient a = toy.net->gradient(ahead, targets, {.images = true, .targets = true});
    const Gradient b = toy.net->gradient(behind, targets, {.images = true, .targets = true});
    EXPECT_LT(difference(found.loss, (a.loss - b.loss) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.theta, (a.theta - b.theta) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.images, (a.images - b.images) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.targets, (a.targets - b.targets) / (2 * step)), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, SmoothGradientJvp,
                         testing::Values("convnet-w3-d2-tanh", "convnet-w3-d2-softplus-bn",
                                         "convnet-w4-d2-swish-gn", "convnet-w3-d1-sigmoid-ln",
                                         "convnet-w3-d2-tanh-nonorm-nopool",
                                         "convnet-w3-d2-softplus-maxpool"));

TEST(GradientJvp, UsesFrozenStatistics) {
  Toy toy("convnet-w3-d2-softplus-bn", 3);
  toy.inputs.norm = NormMode::kFrozen;
  toy.inputs.state = toy.inputs.state + normals({toy.inputs.state.numel()}, 21).abs();
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  const GradientJvp found = toy.net->gradient_jvp(toy.inputs, toy.hard, v);
  Inputs ahead = toy.inputs, behind = toy.inputs;
  ahead.theta = toy.inputs.theta + 1e-5 * v;
  behind.theta = toy.inputs.theta - 1e-5 * v;
  const at::Tensor wanted =
      (toy.net->gradient(ahead, toy.hard).theta - toy.net->gradient(behind, toy.hard).theta) / 2e-5;
  EXPECT_LT(difference(found.theta, wanted), 1e-6);
  EXPECT_FALSE(found.images.defined() || found.targets.defined());
}

TEST(GradientJvp, HessianIsSymmetric) {
  for (const char* specification : {"convnet-w4-d2", "convnet-w4-d2-bn", "lenet"}) {
    const Toy toy(specification, 3, 32);
    const at::Tensor u = normals(toy.inputs.theta.sizes().vec(), 30);
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 31);
    const at::Tensor hu = toy.net->gradient_jvp(toy.inputs, toy.hard, u).theta;
    const at::Tensor hv = toy.net->gradient_jvp(toy.inputs, toy.hard, v).theta;
    EXPECT_LT(difference((u * hv).sum(), (v * hu).sum()), 1e-9) << specification;
  }
}

TEST(GradientJvp, LossIsTheGradientAlongTheDirection) {
  const Toy toy("convnet-w8", 3, 8, 3, at::kFloat);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
  const at::Tensor wanted = (toy.net->gradient(toy.inputs, toy.hard).theta * v).sum();
  at::NoGradGuard guard;
  EXPECT_LT(difference(toy.net->gradient_jvp(toy.inputs, toy.hard, v).loss, wanted), 1e-4);
}

TEST(GradientJvp, OfGroupsEqualsSeparateCallsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const Toy toy("convnet-w4-d2", 5);
  const int64_t size = toy.net->parameters().size;
  const at::Tensor v = normals({2, size}, 40);
  Inputs shared = toy.inputs;
  shared.offsets = {0, 2, 5};
  Inputs own = shared;
  own.theta = at::stack({toy.inputs.theta, 0.9 * toy.inputs.theta});
  const GradientJvp ds =
      toy.net->gradient_jvp(shared, toy.soft, v, {.theta = true, .images = true, .targets = true});
  const GradientJvp dv = toy.net->gradient_jvp(shared, toy.soft, v[1],
                                               {.theta = true, .images = true, .targets = true});
  const GradientJvp d =
      toy.net->gradient_jvp(own, toy.soft, v, {.theta = true, .images = true, .targets = true});
  Inputs one = toy.inputs;
  one.images = one.images.narrow(0, 2, 3);
  const losses::Targets part{toy.soft.values.narrow(0, 2, 3)};
  for (const GradientJvp* all : {&ds, &dv, &d, &ds, &dv, &d}) {
    one.theta = all == &d ? own.theta[1] : toy.inputs.theta;
    at::set_num_threads(at::get_num_threads() % 3 + 1);
    const GradientJvp alone =
        toy.net->gradient_jvp(one, part, v[1], {.theta = true, .images = true, .targets = true});
    EXPECT_TRUE(all->loss[1].equal(alone.loss));
    EXPECT_TRUE(all->theta[1].equal(alone.theta));
    EXPECT_TRUE(all->images.narrow(0, 2, 3).equal(alone.images));
    EXPECT_TRUE(all->targets.narrow(0, 2, 3).equal(alone.targets));
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace retort::nets
