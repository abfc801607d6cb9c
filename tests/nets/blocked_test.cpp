// The blocked engine against autograd in double: every call, shapes that end batches early,
// groups, one thread and two. Skipped, aloud, where the build or the processor has no such engine.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#ifdef RETORT_WITH_BLOCKED
#include <hwy/targets.h>
#endif

#include "nets/toy.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::restricted;
using tests::Toy;

constexpr double kClose = 1e-4;

Inputs in_double(const Inputs& inputs) {
  Inputs exact = inputs;
  exact.theta = inputs.theta.to(at::kDouble);
  exact.images = inputs.images.to(at::kDouble);
  return exact;
}

losses::Targets in_double(losses::Targets targets) {
  if (targets.values.is_floating_point()) targets.values = targets.values.to(at::kDouble);
  if (targets.weights.defined()) targets.weights = targets.weights.to(at::kDouble);
  return targets;
}

void expect_close(const at::Tensor& found, const at::Tensor& wanted, const char* what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  EXPECT_LT(difference(found.to(at::kDouble), wanted), kClose) << what;
}

/// Rows, side, channels of images; width and depth of the network.
struct Case {
  const char* network;
  int64_t rows, side, channels;
};

/// Empty where the engine is there, else why not.
std::string reason_of_absence() {
  for (const EngineEntry& entry : engine_table())
    if (entry.name == "blocked") return entry.present ? "" : entry.summary;
  return "there is no such row";
}

void require_engine(const Network& network) {
  for (const Work work : {Work::kObserve, Work::kGradient, Work::kGradientJvp})
    ASSERT_EQ(network.engine_name(work), "blocked") << network.name();
}

class BlockedEngine : public testing::TestWithParam<Case> {
 protected:
  BlockedEngine()
      : toy_(GetParam().network, GetParam().rows, GetParam().side, GetParam().channels,
             at::kFloat) {}
  void SetUp() override {
    if (const std::string reason = reason_of_absence(); !reason.empty()) GTEST_SKIP() << reason;
    require_engine(*toy_.net);
  }
  const Toy toy_;
};

class BlockedEngineGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_of_absence(); !reason.empty()) GTEST_SKIP() << reason;
    require_engine(*make_network("convnet-w16", {3, 16, 16, 4}));
  }
};

#ifdef RETORT_WITH_BLOCKED
/// With RETORT_TEST_AVX2 in the environment: as on a processor without AVX-512.
const bool kRestricted = [] {
  if (!std::getenv("RETORT_TEST_AVX2")) return false;
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}();
#endif

// Everything below is skipped without the engine: a build that loses it must not pass unseen.
TEST(BlockedEnginePresence, IsThatOfTheBuild) {
#ifdef RETORT_WITH_BLOCKED
  EXPECT_EQ(reason_of_absence(), "");
#else
  EXPECT_NE(reason_of_absence(), "");
#endif
}

TEST_F(BlockedEngineGroups, LeaveOtherCallsToOtherEngines) {
  const Toy other("convnet-w10", 2, 16, 3, at::kFloat);  // a width of no blocks
  EXPECT_EQ(other.net->engine_name(), "autograd");
  EXPECT_EQ(other.net->engine_name(Work::kGradientJvp), "sequential");
  const auto net = make_network("convnet-w16", {3, 16, 16, 4});
  EXPECT_EQ(net->engine_name(Work::kGradient, at::kCUDA), "autograd");
  net->restrict_to("blocked");
  const Toy doubles("convnet-w16", 2, 16);
  EXPECT_THROW(net->gradient(doubles.inputs, doubles.hard), c10::Error);
  EXPECT_THROW(net->observe(doubles.inputs, {"logits"}), c10::Error);
  EXPECT_THROW(net->restrict_to("autograd"), c10::Error);
}

TEST_P(BlockedEngine, GradientsAreThoseOfAutograd) {
  for (losses::Targets targets : {toy_.hard, toy_.soft}) {
    const WithRespectTo wanted{.images = true, .targets = targets.values.is_floating_point()};
    targets.weights = normals({toy_.inputs.images.size(0)}, 9, at::kFloat).abs();
    const Gradient found = toy_.net->gradient(toy_.inputs, targets, wanted);
    const Gradient exact = toy_.net->gradient(in_double(toy_.inputs), in_double(targets), wanted);
    expect_close(found.loss, exact.loss, "loss");
    expect_close(found.theta, exact.theta, "theta");
    expect_close(found.images, exact.images, "images");
    expect_close(found.logits, exact.logits, "logits");
    if (wanted.targets) expect_close(found.targets, exact.targets, "targets");
  }
}

TEST_P(BlockedEngine, DerivativesAlongADirectionAreThoseOfAutograd) {
  const at::Tensor v = normals(toy_.inputs.theta.sizes().vec(), 6, at::kFloat);
  for (const losses::Targets& targets : {toy_.hard, toy_.soft}) {
    const WithRespectTo wanted{
        .theta = true, .images = true, .targets = targets.values.is_floating_point()};
    const GradientJvp found = toy_.net->gradient_jvp(toy_.inputs, targets, v, wanted);
    const GradientJvp exact =
        restricted(*toy_.net, "autograd")
            ->gradient_jvp(in_double(toy_.inputs), in_double(targets), v.to(at::kDouble), wanted);
    expect_close(found.loss, exact.loss, "loss");
    expect_close(found.theta, exact.theta, "theta");
    expect_close(found.images, exact.images, "images");
    if (wanted.targets) expect_close(found.targets, exact.targets, "targets");
  }
}

TEST_P(BlockedEngine, FeaturesAndTheirPullbackAreThoseOfAutograd) {
  const std::vector<std::string> taps{"features", "logits"};
  const Observation found = toy_.net->observe(toy_.inputs, taps, {.theta = true, .images = true});
  const Observation exact =
      toy_.net->observe(in_double(toy_.inputs), taps, {.theta = true, .images = true});
  const Observation only = toy_.net->observe(toy_.inputs, {"features"});
  std::map<std::string, at::Tensor> cotangents, in_doubles;
  for (const std::string& tap : taps) {
    expect_close(found.taps.at(tap), exact.taps.at(tap), tap.c_str());
    cotangents[tap] = normals(found.taps.at(tap).sizes().vec(), 12, at::kFloat);
    in_doubles[tap] = cotangents[tap].to(at::kDouble);
  }
  expect_close(only.taps.at("features"), exact.taps.at("features"), "without a way back");
  const Vjp pulled = found.pullback(cotangents), wanted = exact.pullback(in_doubles);
  expect_close(pulled.images, wanted.images, "images");
  expect_close(pulled.theta, wanted.theta, "theta");
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BlockedEngine,
    testing::Values(Case{"convnet-w16", 5, 32, 3}, Case{"convnet-w128", 3, 16, 3},
                    Case{"convnet-w32-d2", 3, 12, 1}, Case{"convnet-w48-d3", 2, 28, 1},
                    Case{"convnet-w16-d4", 2, 64, 3}, Case{"convnet-w64-d1", 2, 4, 4},
                    Case{"convnet-w16-d2", 37, 8, 3}));

TEST_F(BlockedEngineGroups, HaveTheirOwnThetasAndDirections) {
  const Toy toy("convnet-w16-d2", 23, 8, 3, at::kFloat);
  Inputs inputs = toy.inputs;
  inputs.offsets = {0, 1, 19, 23};
  inputs.theta = at::stack({inputs.theta, inputs.theta * 1.1, inputs.theta * 0.9});
  const at::Tensor v = normals(inputs.theta.sizes().vec(), 6, at::kFloat);
  const Gradient g = toy.net->gradient(inputs, toy.hard),
                 exact_g = toy.net->gradient(in_double(inputs), toy.hard);
  expect_close(g.loss, exact_g.loss, "losses");
  expect_close(g.theta, exact_g.theta, "thetas");
  const GradientJvp d = toy.net->gradient_jvp(inputs, toy.hard, v, {.theta = true, .images = true});
  const GradientJvp exact_d = restricted(*toy.net, "autograd")
                                  ->gradient_jvp(in_double(inputs), toy.hard, v.to(at::kDouble),
                                                 {.theta = true, .images = true});
  expect_close(d.theta, exact_d.theta, "products");
  expect_close(d.images, exact_d.images, "images");
}

TEST_F(BlockedEngineGroups, GiveTheSameBytesEveryTime) {
  const Toy toy("convnet-w32", 40, 16, 3, at::kFloat);
  const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
  const Gradient g = toy.net->gradient(toy.inputs, toy.hard);
  const GradientJvp d =
      toy.net->gradient_jvp(toy.inputs, toy.hard, v, {.theta = true, .images = true});
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(toy.net->gradient(toy.inputs, toy.hard).theta.equal(g.theta));
    const GradientJvp again =
        toy.net->gradient_jvp(toy.inputs, toy.hard, v, {.theta = true, .images = true});
    EXPECT_TRUE(again.theta.equal(d.theta));
    EXPECT_TRUE(again.images.equal(d.images));
  }
}

TEST_F(BlockedEngineGroups, DoNotHideNumbersThatAreNotFinite) {
  for (const char* name : {"convnet-w16", "convnet-w10"}) {  // by the engine, and without it
    Toy toy(name, 4, 16, 3, at::kFloat);
    toy.inputs.theta[0] = std::numeric_limits<float>::quiet_NaN();  // of the first convolution
    EXPECT_FALSE(at::isfinite(toy.net->gradient(toy.inputs, toy.hard).loss).item<bool>()) << name;
    EXPECT_FALSE(
        at::isfinite(toy.net->predict(toy.inputs.theta, toy.inputs.state, toy.inputs.images))
            .all()
            .item<bool>())
        << name;
  }
}

/// Calls `work` on 1, 2 and 5 threads; the answers in that order.
template <class Work>
auto on_threads(const Work& work) {
  const int before = at::get_num_threads();
  std::vector<decltype(work())> found;
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    found.push_back(work());
  }
  at::set_num_threads(before);
  return found;
}

TEST_F(BlockedEngineGroups, GiveTheSameBytesOnAnyNumberOfThreads) {
  for (const int64_t rows : {1, 3, 10, 21, 100}) {
    const Toy toy("convnet-w16", rows, 16, 3, at::kFloat);
    const at::Tensor v = normals(toy.inputs.theta.sizes().vec(), 6, at::kFloat);
    const auto gradients =
        on_threads([&] { return toy.net->gradient(toy.inputs, toy.soft, {.images = true}); });
    const auto products = on_threads([&] {
      return toy.net->gradient_jvp(toy.inputs, toy.soft, v, {.theta = true, .images = true});
    });
    const auto logits = on_threads(
        [&] { return toy.net->predict(toy.inputs.theta, toy.inputs.state, toy.inputs.images); });
    for (size_t i = 1; i < gradients.size(); ++i) {
      EXPECT_TRUE(gradients[i].loss.equal(gradients[0].loss)) << rows;
      EXPECT_TRUE(gradients[i].theta.equal(gradients[0].theta)) << rows;
      EXPECT_TRUE(gradients[i].images.equal(gradients[0].images)) << rows;
      EXPECT_TRUE(products[i].theta.equal(products[0].theta)) << rows;
      EXPECT_TRUE(products[i].images.equal(products[0].images)) << rows;
      EXPECT_TRUE(logits[i].equal(logits[0])) << rows;
    }
  }
}

TEST_F(BlockedEngineGroups, AreWhatTheyAreAlone) {
  const Toy toy("convnet-w16-d2", 60, 16, 3, at::kFloat);
  Inputs inputs = toy.inputs;
  inputs.offsets = {0, 10, 60};
  inputs.theta = at::stack({inputs.theta, inputs.theta * 1.1});
  const at::Tensor v = normals(inputs.theta.sizes().vec(), 6, at::kFloat);
  Inputs one = toy.inputs;
  one.theta = inputs.theta[1];
  one.images = toy.inputs.images.narrow(0, 10, 50);
  const losses::Targets targets{toy.hard.values.narrow(0, 10, 50)};
  const auto both = on_threads(
      [&] { return toy.net->gradient_jvp(inputs, toy.hard, v, {.theta = true, .images = true}); });
  const auto alone = on_threads(
      [&] { return toy.net->gradient_jvp(one, targets, v[1], {.theta = true, .images = true}); });
  const at::Tensor gradient = toy.net->gradient(one, targets).theta;
  for (const auto& all : both) {
    EXPECT_TRUE(all.theta[1].equal(alone[0].theta));
    EXPECT_TRUE(all.images.narrow(0, 10, 50).equal(alone[0].images));
  }
  EXPECT_TRUE(toy.net->gradient(inputs, toy.hard).theta[1].equal(gradient));
}

}  // namespace
}  // namespace retort::nets
