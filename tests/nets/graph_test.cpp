// The graph engine against autograd in double: every call in every mode of BatchNorm, networks with
// shortcuts, strides, pools and other norms, one thread to four, with AVX-512 and without.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#ifdef RETORT_WITH_BLOCKED
#include <hwy/targets.h>
#endif

#include "nets/toy.h"
#include "retort/core/device.h"
#include "retort/nets/network.h"

namespace retort::nets {
namespace {

using tests::difference;
using tests::normals;
using tests::Toy;

constexpr double kClose = 1e-4;

struct Case {
  const char* network;
  int64_t rows, side, channels;
  bool frozen = false;  ///< alone: a deep network's small batches are ill-conditioned
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.network << " " << one.rows << " " << one.side;
}

std::string reason_of_absence() {
  for (const EngineEntry& entry : engine_table())
    if (entry.name == "graph") return entry.present ? "" : entry.summary;
  return "there is no such row";
}

Inputs in_double(const Inputs& inputs) {
  Inputs exact = inputs;
  exact.theta = inputs.theta.to(at::kDouble);
  exact.state = inputs.state.to(at::kDouble);
  exact.images = inputs.images.to(at::kDouble);
  return exact;
}

losses::Targets in_double(losses::Targets targets) {
  if (targets.values.is_floating_point()) targets.values = targets.values.to(at::kDouble);
  if (targets.weights.defined()) targets.weights = targets.weights.to(at::kDouble);
  return targets;
}

/// Deep networks and small batches take float32 further from double than kClose: `plain` is what
/// libtorch gives in float32.
void expect_close(const at::Tensor& found, const at::Tensor& wanted, const at::Tensor& plain,
                  const std::string& what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  if (wanted.numel() == 0) return;
  const double own = difference(found.to(at::kDouble), wanted);
  const double usual = difference(plain.to(at::kDouble), wanted);
  EXPECT_LT(own, std::max(kClose, 10 * usual)) << what;
}

class GraphEngine : public testing::TestWithParam<Case> {
 protected:
  GraphEngine()
      : toy_(GetParam().network, GetParam().rows, GetParam().side, GetParam().channels,
             at::kFloat) {
    toy_.inputs.state += 0.3 * normals({toy_.net->state().size}, 7, at::kFloat).abs();
  }
  void SetUp() override {
    if (const std::string reason = reason_of_absence(); !reason.empty()) GTEST_SKIP() << reason;
    toy_.net->restrict_to("graph");
    exact_ = make_network(toy_.net->name(), toy_.net->shape());
    exact_->restrict_to("autograd");
  }
  /// The modes in which a network differs.
  std::vector<NormMode> modes() const {
    if (!toy_.net->couples_rows()) return {NormMode::kBatch};
    if (GetParam().frozen) return {NormMode::kFrozen};
    return {NormMode::kBatch, NormMode::kUpdating, NormMode::kFrozen};
  }
  Toy toy_;
  std::unique_ptr<Network> exact_;
};

std::string in_mode(NormMode mode, const char* what) {
  return std::string(what) + " in mode " + std::to_string(static_cast<int>(mode));
}

TEST_P(GraphEngine, GradientsAreThoseOfAutograd) {
  for (const NormMode mode : modes())
    for (losses::Targets targets : {toy_.hard, toy_.soft}) {
      const WithRespectTo wanted{.images = true, .targets = targets.values.is_floating_point()};
      targets.weights = normals({toy_.inputs.images.size(0)}, 9, at::kFloat).abs();
      toy_.inputs.norm = mode;
      const Gradient found = toy_.net->gradient(toy_.inputs, targets, wanted);
      const Gradient exact = exact_->gradient(in_double(toy_.inputs), in_double(targets), wanted);
      const Gradient plain = exact_->gradient(toy_.inputs, targets, wanted);
      expect_close(found.loss, exact.loss, plain.loss, in_mode(mode, "loss"));
      expect_close(found.theta, exact.theta, plain.theta, in_mode(mode, "theta"));
      expect_close(found.images, exact.images, plain.images, in_mode(mode, "images"));
      expect_close(found.logits, exact.logits, plain.logits, in_mode(mode, "logits"));
      if (wanted.targets)
        expect_close(found.targets, exact.targets, plain.targets, in_mode(mode, "targets"));
      expect_close(found.state, exact.state, plain.state, in_mode(mode, "state"));
    }
}

/// The names of the moments of a network's BatchNorm layers.
std::vector<std::string> moments_of(const Network& network) {
  std::vector<std::string> names;
  for (const Slot& slot : network.state().slots)
    if (slot.name.ends_with(".running_mean"))
      names.push_back(slot.name.substr(0, slot.name.rfind('.')) + ".moments");
  return names;
}

TEST_P(GraphEngine, ObservationsAndTheirWayBackAreThoseOfAutograd) {
  std::vector<std::string> taps = moments_of(*toy_.net);
  taps.emplace_back("features");
  taps.emplace_back("logits");
  const int64_t rows = toy_.inputs.images.size(0);
  for (const NormMode mode : modes())
    for (const std::vector<int64_t>& offsets : {std::vector<int64_t>{}, {0, 1, rows}}) {
      toy_.inputs.norm = mode, toy_.inputs.offsets = offsets;
      const WithRespectTo wanted{.theta = true, .images = true};
      const Observation found = toy_.net->observe(toy_.inputs, taps, wanted);
      const Observation exact = exact_->observe(in_double(toy_.inputs), taps, wanted);
      const Observation plain = exact_->observe(toy_.inputs, taps, wanted);
      std::map<std::string, at::Tensor> given, given_exact;
      uint64_t seed = 20;
      for (const std::string& tap : taps) {
        expect_close(found.taps.at(tap), exact.taps.at(tap), plain.taps.at(tap),
                     in_mode(mode, tap.c_str()));
        given_exact[tap] = normals(exact.taps.at(tap).sizes().vec(), ++seed);
        given[tap] = given_exact[tap].to(at::kFloat);
      }
      const Vjp pulled = found.pullback(given), exactly = exact.pullback(given_exact),
                plainly = plain.pullback(given);
      expect_close(pulled.images, exactly.images, plainly.images, in_mode(mode, "pulled images"));
      expect_close(pulled.theta, exactly.theta, plainly.theta, in_mode(mode, "pulled theta"));
      EXPECT_THROW(found.pullback(given), c10::Error);
    }
}

TEST_P(GraphEngine, SecondOrderProductsAreThoseOfAutograd) {
  const int64_t size = toy_.net->parameters().size;
  const at::Tensor v = normals({size}, 8, at::kFloat);
  const bool large = size > 4'000'000;  // takes autograd long
  for (const NormMode mode : large ? std::vector{modes().front()} : modes())
    for (losses::Targets targets :
         large ? std::vector{toy_.soft} : std::vector{toy_.hard, toy_.soft}) {
      const WithRespectTo wanted{
          .theta = true, .images = true, .targets = targets.values.is_floating_point()};
      targets.weights = normals({toy_.inputs.images.size(0)}, 9, at::kFloat).abs();
      toy_.inputs.norm = mode;
      const GradientJvp found = toy_.net->gradient_jvp(toy_.inputs, targets, v, wanted);
      const GradientJvp exact = exact_->gradient_jvp(in_double(toy_.inputs), in_double(targets),
                                                     v.to(at::kDouble), wanted);
      const GradientJvp plain = exact_->gradient_jvp(toy_.inputs, targets, v, wanted);
      // A sum over all parameters, of both signs.
      EXPECT_LT(difference(found.loss.to(at::kDouble), exact.loss), 1e-3) << in_mode(mode, "loss");
      expect_close(found.theta, exact.theta, plain.theta, in_mode(mode, "theta along v"));
      expect_close(found.images, exact.images, plain.images, in_mode(mode, "images along v"));
      if (wanted.targets)
        expect_close(found.targets, exact.targets, plain.targets, in_mode(mode, "targets along v"));
    }
}

TEST_P(GraphEngine, PredictionsAreThoseOfAutogradWhateverTheChunk) {
  const at::Tensor found =
      toy_.net->predict(toy_.inputs.theta, toy_.inputs.state, toy_.inputs.images, 256);
  const Inputs exact = in_double(toy_.inputs);
  expect_close(found, exact_->predict(exact.theta, exact.state, exact.images),
               exact_->predict(toy_.inputs.theta, toy_.inputs.state, toy_.inputs.images),
               "predictions");
  EXPECT_TRUE(
      found.equal(toy_.net->predict(toy_.inputs.theta, toy_.inputs.state, toy_.inputs.images, 2)));
}

TEST_P(GraphEngine, GivesEqualBitsOnAnyNumberOfThreads) {
  toy_.inputs.norm = NormMode::kUpdating;
  const at::Tensor v = normals({toy_.net->parameters().size}, 8, at::kFloat);
  std::vector<Gradient> found;
  std::vector<GradientJvp> along;
  for (const int threads : {1, 2, 3, 4, 2}) {
    const ThreadScope scope(threads);
    found.push_back(toy_.net->gradient(toy_.inputs, toy_.hard, {.images = true}));
    along.push_back(
        toy_.net->gradient_jvp(toy_.inputs, toy_.hard, v, {.theta = true, .images = true}));
  }
  const GradientJvp images = toy_.net->gradient_jvp(toy_.inputs, toy_.hard, v, {.images = true});
  EXPECT_FALSE(images.theta.defined());
  EXPECT_TRUE(images.images.equal(along[0].images));
  for (const GradientJvp& other : along) {
    EXPECT_TRUE(other.loss.equal(along[0].loss));
    EXPECT_TRUE(other.theta.equal(along[0].theta));
    EXPECT_TRUE(other.images.equal(along[0].images));
  }
  for (const Gradient& other : found) {
    EXPECT_TRUE(other.theta.equal(found[0].theta));
    EXPECT_TRUE(other.images.equal(found[0].images));
    EXPECT_TRUE(other.state.equal(found[0].state));
  }
}

TEST_P(GraphEngine, GroupsAndPiecesAddUp) {
  toy_.inputs.norm = NormMode::kFrozen;
  const int64_t rows = toy_.inputs.images.size(0);
  const Gradient whole = toy_.net->gradient(toy_.inputs, toy_.hard);
  toy_.inputs.offsets = {0, 1, rows};
  const Gradient parts = toy_.net->gradient(toy_.inputs, toy_.hard);
  const double share = 1 / static_cast<double>(rows);
  expect_close(parts.theta[0] * share + parts.theta[1] * (1 - share), whole.theta.to(at::kDouble),
               whole.theta, "the mean of the groups");
  const at::Tensor v = normals({2, toy_.net->parameters().size}, 8, at::kFloat);
  const GradientJvp together =
      toy_.net->gradient_jvp(toy_.inputs, toy_.hard, v, {.theta = true, .images = true});
  toy_.inputs.offsets = {};
  toy_.inputs.images = toy_.inputs.images.narrow(0, 1, rows - 1);
  const losses::Targets own{toy_.hard.values.narrow(0, 1, rows - 1)};
  const GradientJvp alone =
      toy_.net->gradient_jvp(toy_.inputs, own, v[1], {.theta = true, .images = true});
  EXPECT_TRUE(together.theta[1].equal(alone.theta));
  EXPECT_TRUE(together.images.narrow(0, 1, rows - 1).equal(alone.images));
}

INSTANTIATE_TEST_SUITE_P(
    Networks, GraphEngine,
    testing::Values(Case{"resnet18-bn-w16", 6, 12, 3}, Case{"resnet18-bn-w16", 9, 16, 3},
                    Case{"resnet18-w16", 2, 16, 1}, Case{"resnet18-bn-w32", 2, 13, 3},
                    Case{"resnet50-bn-w16", 3, 16, 3, true}, Case{"convnet-w16-bn", 5, 16, 3},
                    Case{"convnet-w32-bn-maxpool", 3, 14, 3},
                    Case{"convnet-w16-gn-nopool-d2", 2, 9, 3},
                    Case{"convnet-w48-nonorm-d2", 3, 12, 1}, Case{"vgg11-bn", 2, 32, 3},
                    Case{"resnet18-bn", 2, 8, 3, true}, Case{"resnet18-bn-ap-w10", 3, 12, 3, true},
                    Case{"convnet-w10-bn", 4, 13, 3}, Case{"convnet-w20-gn-d2", 3, 10, 1},
                    Case{"convnet-w12-d2", 3, 12, 3}, Case{"wideconv-w10-d3", 4, 16, 3},
                    Case{"wideconv-w12-d2-gn", 3, 9, 1}, Case{"convnet-w20-ln-d2", 3, 11, 3},
                    Case{"wideconv-w10-d2-ln", 4, 8, 3}));

#ifdef RETORT_WITH_BLOCKED
/// With RETORT_TEST_AVX2 in the environment: as on a processor without AVX-512.
const bool kRestricted = [] {
  if (!std::getenv("RETORT_TEST_AVX2")) return false;
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}();
#endif

TEST(GraphEngineChoice, LeavesOtherCallsToOtherEngines) {
  if (const std::string reason = reason_of_absence(); !reason.empty()) GTEST_SKIP() << reason;
  const auto net = make_network("resnet18-bn-w16", {3, 16, 16, 4});
  EXPECT_EQ(net->engine_name(), "graph");
  EXPECT_EQ(net->engine_name(Work::kGradientJvp), "graph");
  EXPECT_EQ(net->engine_name(Work::kGradient, at::kCUDA), "autograd");
  for (const char* other :
       {"resnet18-bn-imagenet", "convnet-swish", "lenet", "alexnet", "strided", "mlp"})
    EXPECT_EQ(make_network(other, {3, 32, 32, 4})->engine_name(), "autograd") << other;
  EXPECT_EQ(make_network("convnet-w16", {3, 16, 16, 4})->engine_name(), "blocked");
}

}  // namespace
}  // namespace retort::nets
