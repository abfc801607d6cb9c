// How BatchNorm acts in the three modes.
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::Toy;

at::Tensor statistic(const Toy& toy, const at::Tensor& state, const std::string& name) {
  const Slot& slot = toy.net->state().find(name);
  return state.narrow(0, slot.offset, slot.count);
}

TEST(BatchNorm, UpdatesRunningStatisticsByPyTorchsRule) {
  Toy toy("convnet-w5-d2-bn", 6);
  toy.inputs.norm = NormMode::kUpdating;
  toy.inputs.state = toy.inputs.state + normals({toy.inputs.state.numel()}, 50).abs();
  const at::Tensor before = toy.inputs.state.clone();
  const Observation seen = toy.net->observe(toy.inputs, {"block1.norm.input", "block2.norm.input"});
  EXPECT_TRUE(toy.inputs.state.equal(before));
  for (const std::string block : {"block1", "block2"}) {
    const at::Tensor z =
        seen.taps.at(block + ".norm.input").transpose(0, 1).flatten(1);  // [C, rows * pixels]
    const at::Tensor mean =
        0.9 * statistic(toy, before, block + ".norm.running_mean") + 0.1 * z.mean(1);
    const at::Tensor variance = 0.9 * statistic(toy, before, block + ".norm.running_var") +
                                0.1 * z.var(1, /*unbiased=*/true);
    EXPECT_LT(difference(statistic(toy, seen.state, block + ".norm.running_mean"), mean), 1e-9);
    EXPECT_LT(difference(statistic(toy, seen.state, block + ".norm.running_var"), variance), 1e-9);
  }
  const Gradient g = toy.net->gradient(toy.inputs, toy.hard);
  EXPECT_LT(difference(g.state, seen.state), 1e-12);
}

TEST(BatchNorm, UsesBiasedBatchStatisticsInTheForwardPass) {
  Toy toy("convnet-w5-d1-bn-nopool", 6);
  const Observation seen = toy.net->observe(toy.inputs, {"block1.norm.input", "features"});
  const at::Tensor z = seen.taps.at("block1.norm.input");
  const Layout& layout = toy.net->parameters();
  const Slot &weight = layout.find("block1.norm.weight"), &bias = layout.find("block1.norm.bias");
  const at::Tensor gain =
      toy.inputs.theta.narrow(0, weight.offset, weight.count).view({1, 5, 1, 1});
  const at::Tensor shift = toy.inputs.theta.narrow(0, bias.offset, bias.count).view({1, 5, 1, 1});
  const at::Tensor mean = z.mean({0, 2, 3}, true), variance = z.var({0, 2, 3}, false, true);
  const at::Tensor y = at::relu((z - mean) / (variance + 1e-5).sqrt() * gain + shift);
  EXPECT_LT(difference(seen.taps.at("features"), y.flatten(1)), 1e-9);
  EXPECT_TRUE(seen.state.equal(toy.inputs.state));
}

TEST(BatchNorm, FrozenRowsDoNotMeet) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    Toy toy("convnet-w5-d2-bn", 6, 8, 3, type);
    toy.inputs.norm = NormMode::kFrozen;
    const at::Tensor all = toy.net->observe(toy.inputs, {"logits"}).taps.at("logits");
    toy.inputs.images = toy.inputs.images.narrow(0, 2, 1);
    const at::Tensor one = toy.net->observe(toy.inputs, {"logits"}).taps.at("logits");
    EXPECT_LT(difference(one, all.narrow(0, 2, 1)), 1e-5);
  }
}

TEST(BatchNorm, NetworksSayThatRowsAreCoupled) {
  EXPECT_TRUE(make_network("convnet-bn", {})->couples_rows());
  EXPECT_FALSE(make_network("convnet", {})->couples_rows());
  const auto net = make_network("resnet18-bn", {});
  EXPECT_EQ(net->state().size, 2 * 4800);
  const at::Tensor state = net->initial_state();
  EXPECT_EQ(state.sum().item<double>(), 4800);
}

TEST(BatchNorm, NeedsItsStateUnlessOnBatchStatistics) {
  Toy toy("convnet-w5-d2-bn", 6);
  toy.inputs.state = at::Tensor();
  EXPECT_EQ(toy.net->gradient(toy.inputs, toy.hard).theta.numel(), toy.inputs.theta.numel());
  toy.inputs.norm = NormMode::kFrozen;
  EXPECT_THROW(toy.net->gradient(toy.inputs, toy.hard), c10::Error);
}

}  // namespace
}  // namespace retort::nets
