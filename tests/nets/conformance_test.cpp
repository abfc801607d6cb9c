// What every network of the table must do; a new row is checked by being there.
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::slope;
using tests::Toy;

class EveryNetwork : public testing::TestWithParam<NetworkEntry> {
 protected:
  /// As narrow as it goes, on three images of 32 pixels.
  static Toy toy(at::ScalarType type) {
    const bool has_width = GetParam().variants.find("w1-") != std::string::npos;
    return Toy(GetParam().name + (has_width ? "-w4" : ""), 3, 32, 3, type);
  }
};

// Activations and pools have kinks, and one that is crossed shows: steps are as small as doubles let
// them be.
constexpr double kStep = 1e-8, kClose = 1e-4;

TEST_P(EveryNetwork, HasTheGradientsOfFiniteDifferences) {
  const Toy toy = this->toy(at::kDouble);
  const at::Tensor& theta = toy.inputs.theta;
  const at::Tensor v = normals(theta.sizes().vec(), 7), x = normals({3, 3, 32, 32}, 8);
  const auto at_theta = [&](const at::Tensor& value) {
    Inputs inputs = toy.inputs;
    inputs.theta = value;
    return toy.net->gradient(inputs, toy.soft);
  };
  const auto loss_at = [&](const at::Tensor& images) {
    Inputs inputs = toy.inputs;
    inputs.images = images;
    return toy.net->gradient(inputs, toy.soft).loss;
  };
  const Gradient g = toy.net->gradient(toy.inputs, toy.soft, {.images = true});
  const GradientJvp jvp = toy.net->gradient_jvp(toy.inputs, toy.soft, v);
  const auto loss = slope([&](const at::Tensor& t) { return at_theta(t).loss; }, theta, v, kStep);
  EXPECT_LT(difference((g.theta * v).sum(), loss), kClose);
  EXPECT_LT(difference(jvp.loss, loss), kClose);
  EXPECT_LT(difference((g.images * x).sum(), slope(loss_at, toy.inputs.images, x, kStep)), kClose);
  const auto turn = slope([&](const at::Tensor& t) { return at_theta(t).theta; }, theta, v, kStep);
  EXPECT_LT((jvp.theta - turn).norm().item<double>(), kClose * turn.norm().item<double>());
}

TEST_P(EveryNetwork, HasOneAnswerWhicheverEngineGivesIt) {
  const Toy toy = this->toy(at::kFloat);
  const Gradient found = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
  const Gradient wanted =
      tests::restricted(*toy.net, "autograd")->gradient(toy.inputs, toy.hard, {.images = true});
  EXPECT_LT(difference(found.loss, wanted.loss), 1e-4);
  EXPECT_LT(difference(found.theta, wanted.theta), 1e-3);
  EXPECT_LT(difference(found.images, wanted.images), 1e-3);
}

TEST_P(EveryNetwork, ShowsItsFeaturesAndLogits) {
  const Toy toy = this->toy(at::kFloat);
  const Observation seen = toy.net->observe(toy.inputs, {"features", "logits"});
  EXPECT_EQ(seen.taps.at("features").sizes(), at::IntArrayRef({3, toy.net->feature_size()}));
  EXPECT_EQ(seen.taps.at("logits").sizes(), at::IntArrayRef({3, 4}));
}

TEST_P(EveryNetwork, StartsFromWhatItsStreamDraws) {
  const Toy toy = this->toy(at::kFloat);
  const auto start = [&](uint64_t seed) { return toy.net->initial(RandomStream(seed, "test")); };
  EXPECT_TRUE(start(1).equal(start(1)));
  EXPECT_FALSE(start(1).equal(start(2)));
}

INSTANTIATE_TEST_SUITE_P(Networks, EveryNetwork, testing::ValuesIn(network_table()),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace retort::nets
