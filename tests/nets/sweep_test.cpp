// The hand-written sweep against autograd through autograd, in double.
#include <gtest/gtest.h>
#include <unistd.h>

#include "nets/toy.h"
#include "retort/core/device.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::restricted;
using tests::Toy;

/// The largest relative difference of all that the two engines return.
double disagreement(const Toy& toy, const Inputs& inputs, const losses::Targets& targets,
                    const at::Tensor& v) {
  const WithRespectTo wanted{
      .theta = true, .images = true, .targets = targets.values.is_floating_point()};
  const GradientJvp a =
      restricted(*toy.net, "sequential")->gradient_jvp(inputs, targets, v, wanted);
  const GradientJvp b = restricted(*toy.net, "autograd")->gradient_jvp(inputs, targets, v, wanted);
  double worst = std::max(difference(a.loss, b.loss), difference(a.theta, b.theta));
  worst = std::max(worst, difference(a.images, b.images));
  return wanted.targets ? std::max(worst, difference(a.targets, b.targets)) : worst;
}

class Sweep : public testing::TestWithParam<const char*> {};

TEST_P(Sweep, AgreesWithAutograd) {
  const std::string name = GetParam();
  const Toy toy(name, 5, name == "lenet" ? 32 : 8);
  ASSERT_TRUE(toy.net->is_sequential());
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  for (losses::Targets targets : {toy.soft, toy.hard}) {
    EXPECT_LT(disagreement(toy, toy.inputs, targets, v), 1e-10);
    targets.weights = normals({5}, 7).abs();
    EXPECT_LT(disagreement(toy, toy.inputs, targets, v), 1e-10);
  }
  losses::Targets loose = toy.soft;  // rows that do not sum to one
  loose.values = loose.values * normals({5, 1}, 8).abs();
  EXPECT_LT(disagreement(toy, toy.inputs, loose, v), 1e-10);
}

INSTANTIATE_TEST_SUITE_P(Sequential, Sweep,
                         testing::Values("convnet-w4-d2", "convnet-w4-d2-sigmoid-maxpool",
                                         "convnet-w4-d1-leaky-nopool", "convnet-w4-d2-swish-gn",
                                         "convnet-w3-d2-tanh-ln", "convnet-w3-d2-softplus-nonorm",
                                         "convnet-w4-d2-bn", "wideconv-w4-d2-bn", "lenet", "mlp",
                                         "strided-w4"));

TEST(Sweep, AgreesOverRandomNetworksAndShapes) {
  const std::vector<std::string> norms{"in", "gn", "ln", "bn", "nonorm"};
  const std::vector<std::string> activations{"relu",  "sigmoid", "leaky",
                                             "swish", "tanh",    "softplus"};
  const std::vector<std::string> pools{"avgpool", "maxpool", "nopool"};
  RandomStream draw(7, "test.sweep");
  const auto pick = [&](const std::vector<std::string>& words) {
    return words[draw.uniform_int(static_cast<int64_t>(words.size()))];
  };
  for (int i = 0; i < 25; ++i) {
    const int64_t depth = 1 + draw.uniform_int(3), width = 4 * (1 + draw.uniform_int(2)),
                  side = 8 + draw.uniform_int(6), channels = 1 + draw.uniform_int(3),
                  rows = 1 + draw.uniform_int(6);
    const std::string name = "convnet-d" + std::to_string(depth) + "-w" + std::to_string(width) +
                             "-" + pick(norms) + "-" + pick(activations) + "-" + pick(pools);
    const Toy toy(name, rows, side, channels);
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 60 + static_cast<uint64_t>(i));
    EXPECT_LT(disagreement(toy, toy.inputs, toy.soft, v), 1e-10) << name << ", side " << side;
  }
}

TEST(Sweep, UsesFrozenStatistics) {
  Toy toy("convnet-w4-d2-bn", 5);
  toy.inputs.norm = NormMode::kFrozen;
  toy.inputs.state = toy.inputs.state + normals({toy.inputs.state.numel()}, 21).abs();
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  EXPECT_LT(disagreement(toy, toy.inputs, toy.soft, v), 1e-10);
}

TEST(Sweep, CutsManyRowsIntoPieces) {
  const Toy toy("convnet-w4-d1", 70);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  EXPECT_LT(disagreement(toy, toy.inputs, toy.hard, v), 1e-10);
  Inputs groups = toy.inputs;
  groups.offsets = {0, 1, 40, 70};
  EXPECT_LT(disagreement(toy, groups, toy.hard, normals({3, toy.net->parameters().size}, 9)),
            1e-10);
}

TEST(Sweep, LeavesBranchingNetworksToAutograd) {
  for (const char* name : {"alexnet", "vgg11", "lenet", "convnet-w16-bn"}) {
    const auto net = make_network(name, {3, 32, 32, 10});
    EXPECT_TRUE(net->is_sequential()) << name;
    EXPECT_EQ(net->engine_name(Work::kGradientJvp), "sequential") << name;
    EXPECT_NE(net->engine_name(), "sequential") << name;
  }
  const auto net = make_network("resnet18", {3, 32, 32, 10});
  EXPECT_FALSE(net->is_sequential());
  EXPECT_EQ(net->engine_name(Work::kGradientJvp), "autograd");
}

TEST(Sweep, LeavesOtherLossesToAutograd) {
  Toy toy("convnet-w4-d1", 3);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6);
  const losses::Targets kl{normals({3, 4}, 12), losses::Kind::kKl, 2.0};
  EXPECT_TRUE(toy.net->gradient_jvp(toy.inputs, kl, v).theta.defined());
  toy.net->restrict_to("sequential");
  EXPECT_THROW(toy.net->gradient_jvp(toy.inputs, kl, v), c10::Error);
}

// oneDNN's weight gradients wait for as many threads as OpenMP promises, and libtorch sets that
// number when a thread first asks: only a sweep that is the first work of its threads shows a wait
// for ever. The alarm ends it.
TEST(SweepDeathTest, IsDoneAsTheFirstWorkOfAProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // a process of its own
  EXPECT_EXIT(
      {
        alarm(60);
        use_threads(2);
        const Toy toy("convnet", 26, 32, 3, at::kFloat);
        toy.net->gradient_jvp(toy.inputs, toy.hard, toy.inputs.theta,
                              {.theta = true, .images = true});
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Sweep, AgreesInFloat) {
  const Toy toy("convnet-w16", 6, 32, 3, at::kFloat);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
  EXPECT_LT(disagreement(toy, toy.inputs, toy.soft, v), 1e-3);
}

}  // namespace
}  // namespace retort::nets
