// gradient against finite differences in double, groups, and what a call leaves alone.
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/core/error.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::slope;
using tests::Toy;

// Smooth everywhere, so that finite differences are an oracle.
const char* const kSmooth[] = {"convnet-w3-d2-tanh", "convnet-w3-d2-softplus-bn",
                               "convnet-w4-d2-swish-gn", "convnet-w3-d1-sigmoid-ln",
                               "convnet-w3-d2-tanh-nonorm-nopool"};

class SmoothGradient : public testing::TestWithParam<const char*> {};

TEST_P(SmoothGradient, AgreesWithFiniteDifferences) {
  const Toy toy(GetParam(), 3);
  losses::Targets kl{normals({3, 4}, 12), losses::Kind::kKl, 2.0};
  losses::Targets squared{normals({3, 4}, 13), losses::Kind::kSquared};
  squared.weights = at::tensor({0.5, 2.0, 1.0}, at::kDouble).to(tests::device());
  for (const losses::Targets& targets : {toy.soft, kl, squared}) {
    const Gradient g = toy.net->gradient(toy.inputs, targets, {.images = true, .targets = true});
    const auto loss_of = [&](const at::Tensor& theta, const at::Tensor& images,
                             const at::Tensor& values) {
      Inputs inputs = toy.inputs;
      inputs.theta = theta, inputs.images = images;
      losses::Targets moved = targets;
      moved.values = values;
      return toy.net->gradient(inputs, moved).loss;
    };
    const auto& [theta, images] = std::tie(toy.inputs.theta, toy.inputs.images);
    const at::Tensor t = normals(theta.sizes().vec(), 7), x = normals(images.sizes().vec(), 8);
    const at::Tensor y = normals({3, 4}, 9);
    const auto along_t =
        slope([&](const at::Tensor& at) { return loss_of(at, images, targets.values); }, theta, t);
    const auto along_x =
        slope([&](const at::Tensor& at) { return loss_of(theta, at, targets.values); }, images, x);
    const auto along_y =
        slope([&](const at::Tensor& at) { return loss_of(theta, images, at); }, targets.values, y);
    EXPECT_LT(difference((g.theta * t).sum(), along_t), 1e-6);
    EXPECT_LT(difference((g.images * x).sum(), along_x), 1e-6);
    EXPECT_LT(difference((g.targets * y).sum(), along_y), 1e-6);
    EXPECT_TRUE(g.loss.dim() == 0 && !g.loss.requires_grad() && !g.theta.requires_grad());
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, SmoothGradient, testing::ValuesIn(kSmooth));

TEST(Gradient, OfOneParameterAtATimeAgreesWithFiniteDifferences) {
  const Toy toy("convnet-w3-d1-tanh", 2, 4);
  const at::Tensor g = toy.net->gradient(toy.inputs, toy.hard).theta;
  const int64_t size = g.numel();
  at::Tensor found = at::zeros_like(g);
  for (int64_t i = 0; i < size; ++i) {
    at::Tensor e = at::zeros_like(g);
    e[i] = 1;
    found[i] = slope(
        [&](const at::Tensor& theta) {
          Inputs inputs = toy.inputs;
          inputs.theta = theta;
          return toy.net->gradient(inputs, toy.hard).loss;
        },
        toy.inputs.theta, e);
  }
  EXPECT_LT(difference(found, g), 1e-7);
}

TEST(Gradient, OfFloatsAgreesWithDoubles) {
  for (const char* specification : {"convnet-w8", "convnet-w8-maxpool", "convnet-w8-bn-nopool-d1",
                                    "convnet-w8-swish", "resnet18", "lenet"}) {
    const Toy toy(specification, 4, 16, 3, at::kFloat);
    Inputs exact = toy.inputs;
    exact.theta = exact.theta.to(at::kDouble), exact.images = exact.images.to(at::kDouble);
    exact.state = exact.state.to(at::kDouble);
    const Gradient f = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
    const Gradient d = toy.net->gradient(exact, toy.hard, {.images = true});
    EXPECT_LT(difference(f.theta.to(at::kDouble), d.theta), 1e-3) << specification;
    EXPECT_LT(difference(f.images.to(at::kDouble), d.images), 1e-3) << specification;
    EXPECT_LT(difference(f.logits.to(at::kDouble), d.logits), 1e-4) << specification;
  }
}

TEST(Gradient, OfGroupsEqualsSeparateCalls) {
  for (const char* specification : {"convnet-w4-d2", "convnet-w4-d2-bn"}) {
    const Toy toy(specification, 6, 8, 3, at::kFloat);
    const int64_t size = toy.net->parameters().size;
    Inputs own = toy.inputs;
    own.offsets = {0, 1, 4, 6};
    own.norm = NormMode::kUpdating;
    Inputs shared = own;
    own.theta = at::stack({toy.inputs.theta, 0.9 * toy.inputs.theta, 1.1 * toy.inputs.theta});
    const Gradient gs = toy.net->gradient(shared, toy.soft, {.images = true, .targets = true});
    const Gradient go = toy.net->gradient(own, toy.soft, {.images = true, .targets = true});
    ASSERT_EQ(gs.loss.sizes(), (std::vector<int64_t>{3}));
    ASSERT_EQ(gs.theta.sizes(), (std::vector<int64_t>{3, size}));
    for (int64_t g = 0; g < 3; ++g) {
      const int64_t begin = own.offsets[g];
      const int64_t rows = own.offsets[g + 1] - begin;
      Inputs one = toy.inputs;
      one.norm = NormMode::kUpdating;
      one.images = one.images.narrow(0, begin, rows);
      const losses::Targets part{toy.soft.values.narrow(0, begin, rows)};
      for (const Gradient* all : {&gs, &go}) {
        if (all == &go) one.theta = own.theta[g];
        const Gradient alone = toy.net->gradient(one, part, {.images = true, .targets = true});
        EXPECT_TRUE(all->loss[g].equal(alone.loss));
        EXPECT_TRUE(all->theta[g].equal(alone.theta));
        EXPECT_TRUE(all->images.narrow(0, begin, rows).equal(alone.images));
        EXPECT_TRUE(all->targets.narrow(0, begin, rows).equal(alone.targets));
        EXPECT_TRUE(all->logits.narrow(0, begin, rows).equal(alone.logits));
        EXPECT_TRUE(!toy.net->couples_rows() || all->state[g].equal(alone.state));
      }
    }
  }
}

TEST(Gradient, WorksUnderANoGradGuardAndLeavesTheCallAlone) {
  const Toy toy("convnet-w4-d2", 2, 8, 3, at::kFloat);
  const at::Tensor before = toy.inputs.theta.clone();
  const Gradient free = toy.net->gradient(toy.inputs, toy.soft, {.images = true, .targets = true});
  at::NoGradGuard guard;
  const Gradient guarded =
      toy.net->gradient(toy.inputs, toy.soft, {.images = true, .targets = true});
  EXPECT_TRUE(free.theta.equal(guarded.theta) && free.targets.equal(guarded.targets));
  EXPECT_TRUE(toy.inputs.theta.equal(before) && !toy.inputs.theta.requires_grad());
  EXPECT_FALSE(toy.inputs.images.requires_grad() || toy.soft.values.requires_grad());
}

TEST(Gradient, IsTheSameBytesTwice) {
  const Toy toy("convnet-w16", 5, 16, 3, at::kFloat);
  const Gradient a = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
  const Gradient b = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
  EXPECT_TRUE(a.theta.equal(b.theta) && a.images.equal(b.images) && a.loss.equal(b.loss));
}

// 20,000 bytes hold a few of these images at once.
TEST(Gradient, IsTheSameWithinAMemoryLimit) {
  const Toy toy("convnet-w4-d2-swish", 9);
  Toy narrow("convnet-w4-d2-swish", 9);
  narrow.net->limit_memory(20000);
  const int64_t rows = narrow.net->rows_at_once(100);
  EXPECT_TRUE(rows >= 1 && rows < 9) << rows;
  const WithRespectTo all{.images = true, .targets = true};
  const Gradient a = toy.net->gradient(toy.inputs, toy.soft, all);
  const Gradient b = narrow.net->gradient(toy.inputs, toy.soft, all);
  EXPECT_LT(difference(b.theta, a.theta), 1e-12);
  EXPECT_LT(difference(b.images, a.images), 1e-12);
  EXPECT_LT(difference(b.targets, a.targets), 1e-12);
  EXPECT_LT(difference(b.logits, a.logits), 1e-12);
  EXPECT_LT(difference(b.loss, a.loss), 1e-12);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  EXPECT_LT(difference(narrow.net->gradient_jvp(toy.inputs, toy.soft, v).theta,
                       toy.net->gradient_jvp(toy.inputs, toy.soft, v).theta),
            1e-12);
  EXPECT_THROW(narrow.net->limit_memory(1000), ResourceError);
}

TEST(Gradient, RefusesWhatMakesNoSense) {
  const Toy toy("convnet-w4-d2", 4);
  EXPECT_THROW(toy.net->gradient(toy.inputs, toy.hard, {.targets = true}), c10::Error);
  Inputs inputs = toy.inputs;
  inputs.offsets = {0, 2, 2, 4};
  EXPECT_THROW(toy.net->gradient(inputs, toy.hard), c10::Error);
  inputs.offsets = {0, 3};
  EXPECT_THROW(toy.net->gradient(inputs, toy.hard), c10::Error);
  inputs.offsets = {};
  inputs.images = inputs.images.narrow(2, 0, 4);
  EXPECT_THROW(toy.net->gradient(inputs, toy.hard), c10::Error);
  inputs = toy.inputs;
  inputs.theta = inputs.theta.to(at::kFloat);
  EXPECT_THROW(toy.net->gradient(inputs, toy.hard), c10::Error);
}

}  // namespace
}  // namespace retort::nets
