// directional against finite differences of gradient in double.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::Toy;

class SmoothDirectional : public testing::TestWithParam<const char*> {};

TEST_P(SmoothDirectional, AgreesWithFiniteDifferencesOfTheGradient) {
  const Toy toy(GetParam(), 3);
  const losses::Targets kl{normals({3, 4}, 12), losses::Kind::kKl, 2.0};
  for (const losses::Targets& targets : {toy.soft, kl}) {
    const at::Tensor v = normals(toy.call.theta.sizes().vec(), 6);
    const Directional found = toy.net->directional(toy.call, targets, v, {true, true});
    const double step = 1e-5;
    Call ahead = toy.call, behind = toy.call;
    ahead.theta = toy.call.theta + step * v;
    behind.theta = toy.call.theta - step * v;
    const Gradient a = toy.net->gradient(ahead, targets, {true, true});
    const Gradient b = toy.net->gradient(behind, targets, {true, true});
    EXPECT_LT(difference(found.loss, (a.loss - b.loss) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.theta, (a.theta - b.theta) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.images, (a.images - b.images) / (2 * step)), 1e-6);
    EXPECT_LT(difference(found.targets, (a.targets - b.targets) / (2 * step)), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, SmoothDirectional,
                         testing::Values("convnet-w3-d2-tanh", "convnet-w3-d2-softplus-bn",
                                         "convnet-w4-d2-swish-gn", "convnet-w3-d1-sigmoid-ln",
                                         "convnet-w3-d2-tanh-nn-nopool",
                                         "convnet-w3-d2-softplus-maxpool"));

TEST(Directional, UsesFrozenStatistics) {
  Toy toy("convnet-w3-d2-softplus-bn", 3);
  toy.call.norm = NormMode::kFrozen;
  toy.call.state = toy.call.state + normals({toy.call.state.numel()}, 21).abs();
  const at::Tensor v = normals(toy.call.theta.sizes().vec(), 6);
  const Directional found = toy.net->directional(toy.call, toy.hard, v);
  Call ahead = toy.call, behind = toy.call;
  ahead.theta = toy.call.theta + 1e-5 * v;
  behind.theta = toy.call.theta - 1e-5 * v;
  const at::Tensor wanted =
      (toy.net->gradient(ahead, toy.hard).theta - toy.net->gradient(behind, toy.hard).theta) / 2e-5;
  EXPECT_LT(difference(found.theta, wanted), 1e-6);
  EXPECT_FALSE(found.images.defined() || found.targets.defined());
}

TEST(Directional, HessianIsSymmetric) {
  for (const char* specification : {"convnet-w4-d2", "convnet-w4-d2-bn", "lenet"}) {
    const Toy toy(specification, 3, 32);
    const at::Tensor u = normals(toy.call.theta.sizes().vec(), 30);
    const at::Tensor v = normals(toy.call.theta.sizes().vec(), 31);
    const at::Tensor hu = toy.net->directional(toy.call, toy.hard, u).theta;
    const at::Tensor hv = toy.net->directional(toy.call, toy.hard, v).theta;
    EXPECT_LT(difference((u * hv).sum(), (v * hu).sum()), 1e-9) << specification;
  }
}

TEST(Directional, LossIsTheGradientAlongTheDirection) {
  const Toy toy("convnet-w8", 3, 8, 3, at::kFloat);
  const at::Tensor v = normals(toy.call.theta.sizes().vec(), 6, at::kFloat);
  const at::Tensor wanted = (toy.net->gradient(toy.call, toy.hard).theta * v).sum();
  at::NoGradGuard guard;
  EXPECT_LT(difference(toy.net->directional(toy.call, toy.hard, v).loss, wanted), 1e-4);
}

TEST(Directional, OfGroupsEqualsSeparateCallsOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const Toy toy("convnet-w4-d2", 5);
  const int64_t size = toy.net->parameters().size;
  const at::Tensor v = normals({2, size}, 40);
  Call shared = toy.call;
  shared.offsets = {0, 2, 5};
  Call own = shared;
  own.theta = at::stack({toy.call.theta, 0.9 * toy.call.theta});
  const Directional ds = toy.net->directional(shared, toy.soft, v, {true, true});
  const Directional dv = toy.net->directional(shared, toy.soft, v[1], {true, true});
  const Directional d = toy.net->directional(own, toy.soft, v, {true, true});
  Call one = toy.call;
  one.images = one.images.narrow(0, 2, 3);
  const losses::Targets part{toy.soft.values.narrow(0, 2, 3)};
  for (const Directional* all : {&ds, &dv, &d, &ds, &dv, &d}) {
    one.theta = all == &d ? own.theta[1] : toy.call.theta;
    at::set_num_threads(at::get_num_threads() % 3 + 1);
    const Directional alone = toy.net->directional(one, part, v[1], {true, true});
    EXPECT_TRUE(all->loss[1].equal(alone.loss));
    EXPECT_TRUE(all->theta[1].equal(alone.theta));
    EXPECT_TRUE(all->images.narrow(0, 2, 3).equal(alone.images));
    EXPECT_TRUE(all->targets.narrow(0, 2, 3).equal(alone.targets));
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace retort::nets
