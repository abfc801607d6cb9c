// What every network of the table must do; a new row is checked by being there.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/registry.h"
#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::slope;
using tests::Toy;

class EveryNetwork : public testing::TestWithParam<std::string> {
 protected:
  /// As narrow as it goes, on three images of 32 pixels.
  static Toy toy(at::ScalarType type) {
    const auto& entry = find_entry(std::span(network_table()), "network", GetParam());
    const bool has_width = entry.variants.find("w1-") != std::string::npos;
    return Toy(entry.name + (has_width ? "-w4" : ""), 3, 32, 3, type);
  }
};

// Activations and pools have kinks, and one that is crossed shows: steps are as small as doubles
// let them be. What a difference of losses is rounded by is then a few millionths.
constexpr double kStep = 1e-10, kClose = 1e-4, kRounding = 2e-5;

void expect_close(const at::Tensor& found, const at::Tensor& wanted) {
  const double size = wanted.norm().item<double>();
  EXPECT_LT((found - wanted).norm().item<double>(), kClose * size + kRounding) << "of " << size;
}

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
  expect_close((g.theta * v).sum(), loss);
  expect_close(jvp.loss, loss);
  expect_close((g.images * x).sum(), slope(loss_at, toy.inputs.images, x, kStep));
  expect_close(jvp.theta,
               slope([&](const at::Tensor& t) { return at_theta(t).theta; }, theta, v, kStep));
}

TEST_P(EveryNetwork, HasOneAnswerWhicheverEngineGivesIt) {
  const Toy toy = this->toy(at::kFloat);
  const Gradient found = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
  const auto plain = tests::restricted(*toy.net, "autograd");
  const Gradient wanted = plain->gradient(toy.inputs, toy.hard, {.images = true});
  // Instance norms of few values, one behind the other, take any float32 far from double.
  const Toy exact = this->toy(at::kDouble);
  const Gradient truth = exact.net->gradient(exact.inputs, exact.hard, {.images = true});
  const auto expect = [](const at::Tensor& own, const at::Tensor& usual, const at::Tensor& ideal,
                         double bound) {
    const double rounding = difference(usual.to(at::kDouble), ideal);
    EXPECT_LT(difference(own, usual), std::max(bound, 4 * rounding));
  };
  expect(found.loss, wanted.loss, truth.loss, 1e-4);
  expect(found.theta, wanted.theta, truth.theta, 1e-3);
  expect(found.images, wanted.images, truth.images, 1e-3);
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

INSTANTIATE_TEST_SUITE_P(Networks, EveryNetwork,
                         testing::ValuesIn(names_of(std::span(network_table()))),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace retort::nets
