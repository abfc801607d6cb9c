// Values inside a pass and their pullbacks.
#include <gtest/gtest.h>

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::slope;
using tests::Toy;

TEST(Observe, PullsFeaturesBackAsFiniteDifferencesSay) {
  const Toy toy("convnet-w3-d2-tanh", 3);
  const Observation seen = toy.net->observe(toy.inputs, {"features", "block2.conv.input"},
                                            {.theta = true, .images = true});
  const at::Tensor c = normals(seen.taps.at("features").sizes().vec(), 60);
  const at::Tensor d = normals(seen.taps.at("block2.conv.input").sizes().vec(), 61);
  const Vjp pulled = seen.pullback({{"features", c}, {"block2.conv.input", d}});
  const auto value = [&](const at::Tensor& theta, const at::Tensor& images) {
    Inputs inputs = toy.inputs;
    inputs.theta = theta, inputs.images = images;
    const Observation o = toy.net->observe(inputs, {"features", "block2.conv.input"});
    return (o.taps.at("features") * c).sum() + (o.taps.at("block2.conv.input") * d).sum();
  };
  const auto& [theta, images] = std::tie(toy.inputs.theta, toy.inputs.images);
  const at::Tensor t = normals(theta.sizes().vec(), 62), x = normals(images.sizes().vec(), 63);
  const auto along_t = slope([&](const at::Tensor& at) { return value(at, images); }, theta, t);
  const auto along_x = slope([&](const at::Tensor& at) { return value(theta, at); }, images, x);
  EXPECT_LT(difference((pulled.theta * t).sum(), along_t), 1e-6);
  EXPECT_LT(difference((pulled.images * x).sum(), along_x), 1e-6);
}

TEST(Observe, PullsMomentsOfGroupsBackAsFiniteDifferencesSay) {
  Toy toy("convnet-w3-d2-bn-tanh", 5);
  toy.inputs.offsets = {0, 2, 5};
  const std::string tap = "block2.norm.moments";
  const Observation seen =
      toy.net->observe(toy.inputs, {tap, "block2.norm.input"}, {.images = true});
  const at::Tensor rows = seen.taps.at("block2.norm.input").slice(0, 2, 5);
  EXPECT_LT(difference(seen.taps.at(tap)[1][0], rows.mean({0, 2, 3})), 1e-12);
  EXPECT_LT(difference(seen.taps.at(tap)[1][1], rows.var({0, 2, 3}, false)), 1e-12);
  const at::Tensor c = normals({2, 2, 3}, 64), x = normals(toy.inputs.images.sizes().vec(), 65);
  const Vjp pulled = seen.pullback({{tap, c}});
  const auto along_x = slope(
      [&](const at::Tensor& images) {
        Inputs inputs = toy.inputs;
        inputs.images = images;
        return (toy.net->observe(inputs, {tap}).taps.at(tap) * c).sum();
      },
      toy.inputs.images, x);
  EXPECT_LT(difference((pulled.images * x).sum(), along_x), 1e-6);
}

TEST(Observe, PullbackOfTheLossIsTheGradient) {
  for (const char* specification : {"convnet-w8", "resnet18", "convnet-w8-bn"}) {
    const Toy toy(specification, 3, 16, 3, at::kFloat);
    const Observation seen =
        toy.net->observe(toy.inputs, {"logits"}, {.theta = true, .images = true});
    const at::Tensor p = at::softmax(seen.taps.at("logits"), 1);
    const at::Tensor one_hot = at::zeros_like(p).scatter(1, toy.hard.values.unsqueeze(1), 1);
    const Vjp pulled = seen.pullback({{"logits", (p - one_hot) / 3}});
    const Gradient g = toy.net->gradient(toy.inputs, toy.hard, {.images = true});
    EXPECT_LT(difference(pulled.images, g.images), 1e-4) << specification;
    EXPECT_LT(difference(pulled.theta, g.theta), 1e-4) << specification;
  }
}

TEST(Observe, KeepsNoGraphUnlessAsked) {
  const Toy toy("convnet-w4-d2", 3, 8, 3, at::kFloat);
  const Observation seen = toy.net->observe(toy.inputs, toy.net->taps());
  EXPECT_EQ(seen.taps.size(), toy.net->taps().size());
  for (const auto& [name, value] : seen.taps) EXPECT_FALSE(value.requires_grad()) << name;
  EXPECT_FALSE(static_cast<bool>(seen.pullback));
  EXPECT_TRUE(seen.taps.at("block1.conv.input").equal(toy.inputs.images));
  EXPECT_TRUE(seen.taps.at("features").equal(seen.taps.at("classifier.input")));
}

TEST(Observe, PullsBackToImagesAloneUnderANoGradGuard) {
  const Toy toy("convnet-w4-d2", 3, 8, 3, at::kFloat);
  at::NoGradGuard guard;
  const Observation seen = toy.net->observe(toy.inputs, {"features"}, {.images = true});
  const Vjp pulled = seen.pullback({{"features", at::ones_like(seen.taps.at("features"))}});
  EXPECT_EQ(pulled.images.sizes(), toy.inputs.images.sizes());
  EXPECT_GT(pulled.images.abs().sum().item<double>(), 0);
  EXPECT_FALSE(pulled.theta.defined());
}

TEST(Observe, PullsBackTheImagesThemselves) {
  const Toy toy("convnet-w4-d2", 3, 8, 3, at::kFloat);
  const Observation seen =
      toy.net->observe(toy.inputs, {"block1.conv.input"}, {.theta = true, .images = true});
  const at::Tensor c = normals(toy.inputs.images.sizes().vec(), 70, at::kFloat);
  const Vjp pulled = seen.pullback({{"block1.conv.input", c}});
  EXPECT_TRUE(pulled.images.equal(c));
  EXPECT_EQ(pulled.theta.abs().sum().item<double>(), 0);
}

TEST(Observe, PullsBackOnce) {
  const Toy toy("convnet-w4-d2", 3);
  const Observation seen = toy.net->observe(toy.inputs, {"features"}, {.images = true});
  const at::Tensor c = at::ones_like(seen.taps.at("features"));
  seen.pullback({{"features", c}});
  EXPECT_THROW(seen.pullback({{"features", c}}), c10::Error);
}

TEST(Observe, OfGroupsEqualsSeparateCalls) {
  const Toy toy("convnet-w4-d2", 5);
  Inputs inputs = toy.inputs;
  inputs.offsets = {0, 2, 5};
  inputs.theta = at::stack({toy.inputs.theta, 0.9 * toy.inputs.theta});
  const Observation all = toy.net->observe(inputs, {"features"}, {.theta = true, .images = true});
  const at::Tensor c = normals(all.taps.at("features").sizes().vec(), 71);
  const Vjp pulled = all.pullback({{"features", c}});
  Inputs one = toy.inputs;
  one.theta = inputs.theta[1];
  one.images = inputs.images.narrow(0, 2, 3);
  const Observation alone = toy.net->observe(one, {"features"}, {.theta = true, .images = true});
  const Vjp part = alone.pullback({{"features", c.narrow(0, 2, 3)}});
  EXPECT_TRUE(all.taps.at("features").narrow(0, 2, 3).equal(alone.taps.at("features")));
  EXPECT_TRUE(pulled.images.narrow(0, 2, 3).equal(part.images));
  EXPECT_TRUE(pulled.theta[1].equal(part.theta));
}

TEST(Observe, OfASharedThetaIsOnePassOverAllRows) {
  Toy toy("convnet-w4-d2-bn", 4);
  const at::Tensor whole = toy.net->observe(toy.inputs, {"features"}).taps.at("features");
  toy.inputs.offsets = {0, 2, 4};
  EXPECT_TRUE(toy.net->observe(toy.inputs, {"features"}).taps.at("features").equal(whole));
}

TEST(Observe, RefusesUnknownTaps) {
  const Toy toy("convnet-w4-d2", 2);
  EXPECT_THROW(toy.net->observe(toy.inputs, {"block9.conv.input"}), c10::Error);
}

TEST(Observe, TakesOneChannelImages) {
  const Toy f("convnet-w4", 3, 28, 1, at::kFloat);
  Inputs exact = f.inputs;
  exact.theta = exact.theta.to(at::kDouble), exact.images = exact.images.to(at::kDouble);
  const at::Tensor found = f.net->observe(f.inputs, {"logits"}).taps.at("logits");
  const at::Tensor wanted = f.net->observe(exact, {"logits"}).taps.at("logits");
  EXPECT_LT(difference(found.to(at::kDouble), wanted), 1e-5);
}

}  // namespace
}  // namespace retort::nets
