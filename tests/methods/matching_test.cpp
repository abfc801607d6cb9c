// NCFM, TGDD, Inf-Match and the pool of networks, against values worked out in the test.
#include "methods/matching/matching.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "core/registry.h"
#include "losses/characteristic.h"
#include "methods/matching/frequency_sampler.h"
#include "methods/matching/network_pool.h"
#include "methods/toy.h"
#include "methods/toy_experts.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::methods {
namespace {

constexpr const char* kNetwork = "convnet-w4-d2-tanh";

/// A method of the table on toy data, with experts of a smooth network.
struct Fixture {
  data::Dataset data;
  std::unique_ptr<nets::Network> network = nets::make_network(kNetwork, {3, 8, 8, 3});
  synthetic::SetLayout layout{{2, 1, 3}, 3, 8, 8};
  std::unique_ptr<Method> method;
  OptionSet options;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

  explicit Fixture(const std::string& name, const std::map<std::string, std::string>& set = {},
                   const std::string& augmentation = "all:color_crop_cutout")
      : data(tests::toy_dataset()),
        method(find_entry(std::span(method_table()), "method", name).make()) {
    method->declare(options);
    Problems problems;
    options.set("experts", tests::toy_experts(kNetwork), "test", problems);
    for (const auto& [key, text] : set) options.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective({data, *network, layout, augmentation, 5, at::Device(at::kCPU)});
    view = {at::empty({layout.size(), 3, 8, 8}), layout.labels(), layout.offsets()};
    RandomStream(1, "test").fill_normal(view.images.data_ptr<float>(), view.images.numel());
    view.images = view.images.to(at::kDouble);
  }
  Cotangents at(const at::Tensor& images) {
    SyntheticSet moved = view;
    moved.images = images;
    return objective->evaluate(moved, 0);
  }
  at::Tensor direction() const {
    const at::Tensor v = at::empty(view.images.sizes(), at::kFloat);
    RandomStream(2, "direction").fill_normal(v.data_ptr<float>(), v.numel());
    return v.to(at::kDouble);
  }
  /// By the images, from differences.
  double slope(const at::Tensor& v) {
    const double e = 1e-5;
    return (at(view.images + e * v).loss - at(view.images - e * v).loss) / (2 * e);
  }
};

using Settings = std::map<std::string, std::string>;

class Matching : public testing::TestWithParam<std::pair<const char*, Settings>> {};

TEST_P(Matching, CotangentsAreTheDerivativeOfTheLoss) {
  Fixture f(GetParam().first, GetParam().second);
  for (int64_t iteration = 0; iteration < 2; ++iteration) {
    f.objective->begin(iteration, f.view);
    const at::Tensor v = f.direction();
    const double found = (f.at(f.view.images).images * v).sum().item<double>();
    EXPECT_NEAR(f.slope(v), found, 1e-6 * std::abs(found) + 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Methods, Matching,
    testing::Values(std::pair{"ncfm", Settings{{"frequency_arguments", "40"}}},
                    std::pair{"ncfm", Settings{{"sampler", "no"},
                                               {"amplitude_weight", "0.2"},
                                               {"network_ages", "snapshots"},
                                               {"frequency_arguments", "40"}}},
                    std::pair{"tgdd", Settings{}},
                    std::pair{"tgdd", Settings{{"synthetic_batch", "2"}, {"max_age", "1"}}},
                    std::pair{"infmatch", Settings{}},
                    std::pair{"infmatch", Settings{{"directions", "50"},
                                                   {"least_snapshots", "1"},
                                                   {"influence_weight", "3"}}}),
    [](const auto& param_info) {
      return std::string(param_info.param.first) + std::to_string(param_info.index);
    });

TEST(Ncfm, TheSamplersGradientIsThatOfTheLoss) {
  Fixture f("ncfm", {{"frequency_arguments", "40"}, {"cross_entropy_weight", "0"}});
  f.objective->begin(0, f.view);
  const at::Tensor psi = f.objective->learned()[0].value;
  const at::Tensor found = f.at(f.view.images).learned[0];
  // psi is kept in single precision: a step along the gradient itself is large enough to be seen.
  const at::Tensor start = psi.clone();
  const double step = 1e-3 / found.norm().item<double>();
  psi.copy_(start + found * step);
  const at::Tensor high = psi.clone();
  const double up = f.at(f.view.images).loss;
  psi.copy_(start - found * step);
  const double down = f.at(f.view.images).loss;
  const double expected = ((high - psi).to(at::kDouble) * found).sum().item<double>();
  EXPECT_GT(up, down);  // ascent makes the discrepancy larger
  EXPECT_NEAR(up - down, expected, 1e-2 * expected);
}

TEST(Ncfm, TheSamplerAscends) {
  Fixture f("ncfm");
  const synthetic::ParameterGroup group = f.objective->learned()[0];
  EXPECT_EQ(group.direction, synthetic::Direction::kAscent);
  EXPECT_EQ(*group.learning_rate, 1e-3);
  EXPECT_EQ(group.optimizer, "sgd");
  EXPECT_TRUE(Fixture("ncfm", {{"sampler", "no"}}).objective->learned().empty());
}

// All of a class with itself, under one augmentation: only the floor of the root is left.
TEST(Ncfm, IsNextToNothingWhereTheSetIsTheClass) {
  Fixture f("ncfm", {{"cross_entropy_weight", "0"}});
  f.view.offsets = {0, 12, 24, 36};
  const Cotangents found = [&] {
    const at::Tensor all = f.data.preprocessing.apply(f.data.train.images, at::kCPU);
    f.view.images = all.to(at::kDouble);
    f.objective->begin(0, f.view);
    return f.at(f.view.images);
  }();
  EXPECT_NEAR(found.loss, 3 * 300 * 1e-6, 1e-6);
}

// One image each of two points, no augmentation, and a network that the test runs itself.
TEST(Ncfm, IsTheDiscrepancyOfUnitFeaturesAndTheCrossEntropy) {
  Fixture f("ncfm", {{"sampler", "no"}, {"frequency_arguments", "64"}, {"max_age", "2"}}, "none");
  f.objective->begin(3, f.view);
  RandomStream stream(5, "ncfm.networks", 3);
  const PoolOptions pooling{tests::toy_experts(kNetwork), 2};
  const synthetic::SetLayout& layout = f.layout;
  const NetworkPool pool({f.data, *f.network, layout, "none", 5, at::Device(at::kCPU)}, pooling,
                         "testing");
  const int64_t expert = stream.uniform_int(2);
  const double share = stream.uniform();
  const at::Tensor last = pool.network(expert, 2).to(at::kDouble);
  const at::Tensor theta = last + (pool.network(expert, 0) - pool.network(expert, 2)) * share;
  const FrequencySampler sampler(f.network->feature_size(), 64);
  const at::Tensor t = sampler.draw(RandomStream(5, "ncfm.frequencies", 3)).normals.to(at::kDouble);
  const auto unit = [&](const at::Tensor& images) {
    const at::Tensor rows =
        f.network->observe({theta.to(at::kFloat).to(at::kDouble), {}, images}, {"features"})
            .taps.at("features");
    return rows / rows.norm(2, 1, true);
  };
  double expected = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor mine = f.view.images.slice(0, f.view.offset(c), f.view.offset(c + 1));
    const at::Tensor real =
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU);
    const at::Tensor a = t.mm(unit(real.to(at::kDouble)).t()), b = t.mm(unit(mine).t());
    const at::Tensor re = a.cos().mean(1) - b.cos().mean(1), im = a.sin().mean(1) - b.sin().mean(1);
    expected += 300 * ((re.square() + im.square()) / 2).sqrt().mean().item<double>();
    const at::Tensor logits = f.network->observe({last, {}, mine}, {"logits"}).taps.at("logits");
    expected -= at::log_softmax(logits, 1).select(1, c).mean().item<double>();
  }
  EXPECT_NEAR(f.at(f.view.images).loss, expected, 1e-4 * expected);
}

// TGDD with the whole class as the real batch: means of features, and the later snapshot's loss.
TEST(Tgdd, IsTheGapOfMeansAndTheLaterNetworksCrossEntropy) {
  Fixture f("tgdd", {{"age_interval", "2"}, {"cross_entropy_weight", "0.5"}}, "none");
  f.objective->begin(4, f.view);
  RandomStream stream(5, "tgdd.networks", 4);
  const NetworkPool pool({f.data, *f.network, f.layout, "none", 5, at::Device(at::kCPU)},
                         {tests::toy_experts(kNetwork), 0}, "testing");
  const int64_t expert = stream.uniform_int(2), age = stream.uniform_int(4);
  const int64_t last = std::min<int64_t>(age + 1, 3);
  const int64_t later = age + stream.uniform_int(last - age + 1);
  const at::Tensor theta = pool.network(expert, age).to(at::kDouble);
  const at::Tensor guide = pool.network(expert, later).to(at::kDouble);
  double expected = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor mine = f.view.images.slice(0, f.view.offset(c), f.view.offset(c + 1));
    const at::Tensor real =
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU)
            .to(at::kDouble);
    const auto mean = [&](const at::Tensor& x) {
      return f.network->observe({theta, {}, x}, {"features"}).taps.at("features").mean(0);
    };
    expected += (mean(mine) - mean(real)).square().sum().item<double>();
    const at::Tensor logits = f.network->observe({guide, {}, mine}, {"logits"}).taps.at("logits");
    expected -= 0.5 * at::log_softmax(logits, 1).select(1, c).mean().item<double>();
  }
  EXPECT_NEAR(f.at(f.view.images).loss, expected, 1e-6 * expected);
}

// Inf-Match with the whole class as the real batch, sample by sample in the test.
TEST(InfMatch, IsTheGapOfFusedMeansAndTheLastNetworksCrossEntropy) {
  Fixture f("infmatch", {{"directions", "30"}, {"cross_entropy_weight", "0.5"}}, "none");
  f.objective->begin(4, f.view);
  RandomStream stream(5, "infmatch.networks", 4);
  const NetworkPool pool({f.data, *f.network, f.layout, "none", 5, at::Device(at::kCPU)},
                         {tests::toy_experts(kNetwork), 0}, "testing");
  const int64_t expert = stream.uniform_int(2), count = 2 + stream.uniform_int(2);
  const std::vector<int64_t> ages = stream.sample(3, count);
  const at::Tensor last = pool.network(stream.uniform_int(2), 3).to(at::kDouble);
  const auto mean = [&](const at::Tensor& images, int64_t label) {
    std::vector<at::Tensor> parts;
    for (const int64_t age : ages) {
      const at::Tensor theta = pool.network(expert, age + 1).to(at::kDouble);
      const auto taps = f.network->observe({theta, {}, images}, {"features", "logits"}).taps;
      at::Tensor sum;
      for (int64_t i = 0; i < images.size(0); ++i) {
        at::Tensor g = at::softmax(taps.at("logits")[i], 0);
        g[label] -= 1;
        const at::Tensor fused = at::outer(1 + 0.2 * g, taps.at("features")[i]);
        sum = sum.defined() ? sum + fused / fused.norm() : fused / fused.norm();
      }
      parts.push_back(sum.flatten() / static_cast<double>(images.size(0)));
    }
    return at::cat(parts);
  };
  double expected = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor mine = f.view.images.slice(0, f.view.offset(c), f.view.offset(c + 1));
    const at::Tensor real =
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU)
            .to(at::kDouble);
    const at::Tensor r = mean(real, c), s = mean(mine, c);
    at::Tensor t = at::empty({30, r.size(0)}, at::kFloat);
    RandomStream(5, "infmatch.directions", 4, 0).fill_normal(t.data_ptr<float>(), t.numel());
    t = t.to(at::kDouble);
    const at::Tensor a = t.mv(r) / t.norm(2, 1), b = t.mv(s) / t.norm(2, 1);
    expected += 100 * ((a - b).square() / (a.square() + b.square() + 1e-8)).mean().item<double>();
    const at::Tensor logits = f.network->observe({last, {}, mine}, {"logits"}).taps.at("logits");
    expected -= 0.5 * at::log_softmax(logits, 1).select(1, c).mean().item<double>();
  }
  EXPECT_NEAR(f.at(f.view.images).loss, expected, 1e-6 * expected);
}

TEST(FrequencySampler, NoTwoArgumentsAreAlike) {
  const FrequencySampler sampler(6, 64);
  const at::Tensor psi = sampler.initial(RandomStream(0, "test"));
  EXPECT_EQ(psi.numel(), sampler.size());
  const at::Tensor t = sampler.sample(psi, sampler.draw(RandomStream(1, "test"))).arguments;
  ASSERT_EQ(t.sizes(), at::IntArrayRef({64, 6}));
  const at::Tensor apart = (t.unsqueeze(0) - t.unsqueeze(1)).abs().amax(2) + at::eye(64);
  EXPECT_GT(apart.min().item<double>(), 1e-3);
}

// tanh of something that BatchNorm brought to deviation 1: scales within 1, sixteen for a
// component.
TEST(FrequencySampler, SixteenArgumentsShareTheirScales) {
  const FrequencySampler sampler(5, 48);
  const FrequencySampler::Draws draws = sampler.draw(RandomStream(1, "test"));
  const at::Tensor psi = sampler.initial(RandomStream(0, "test"));
  const at::Tensor scales = sampler.sample(psi, draws).arguments / draws.normals;
  EXPECT_LT(scales.abs().max().item<double>(), 1);
  for (int64_t i = 0; i < 48; ++i)
    EXPECT_TRUE(at::allclose(scales[i], scales[i / 16 * 16], 1e-4, 1e-5)) << i;
  EXPECT_GT((scales[0] - scales[16]).abs().max().item<double>(), 1e-3);
}

TEST(FrequencySampler, PullbackIsTheDerivativeInDouble) {
  const FrequencySampler sampler(4, 40);
  FrequencySampler::Draws draws = sampler.draw(RandomStream(1, "test"));
  draws = {draws.noise.to(at::kDouble), draws.normals.to(at::kDouble)};
  const at::Tensor psi = sampler.initial(RandomStream(0, "test")).to(at::kDouble);
  const at::Tensor v = at::sin(at::arange(psi.numel(), at::kDouble));
  const at::Tensor d = at::cos(at::arange(160, at::kDouble)).view({40, 4});
  const double found = (sampler.sample(psi, draws).pullback(d) * v).sum().item<double>();
  const double e = 1e-6;
  const auto along = [&](double step) {
    return (sampler.sample(psi + step * v, draws).arguments * d).sum().item<double>();
  };
  EXPECT_NEAR((along(e) - along(-e)) / (2 * e), found, 1e-7 * std::abs(found));
}

TEST(NetworkPool, DrawsEveryExpertAndEveryAge) {
  Fixture f("tgdd");
  const NetworkPool pool({f.data, *f.network, f.layout, "none", 5, at::Device(at::kCPU)},
                         {tests::toy_experts(kNetwork), 2}, "testing");
  EXPECT_EQ(pool.experts(), 2);
  EXPECT_EQ(pool.oldest(), 2);
  std::map<std::pair<int64_t, int64_t>, int> seen;
  for (uint64_t i = 0; i < 200; ++i) {
    const at::Tensor theta = pool.any(RandomStream(0, "test", i));
    for (int64_t e = 0; e < 2; ++e)
      for (int64_t age = 0; age <= 2; ++age) seen[{e, age}] += theta.equal(pool.network(e, age));
  }
  for (const auto& [which, count] : seen) EXPECT_GT(count, 15) << which.first << which.second;
}

TEST(NetworkPool, SaysWhatItLacks) {
  tests::expect_error<ConfigError>(
      [] {
        Fixture("ncfm", {{"experts", ""}});
      },
      {"preparing 'ncfm'", "no experts", "--experts"});
  tests::expect_error<ConfigError>(
      [] {
        Fixture("tgdd", {{"max_age", "9"}});
      },
      {"preparing 'tgdd'", "--max-age 9", "3 epochs", "at most 3"});
  tests::expect_error<ConfigError>(
      [] {
        Fixture("infmatch", {{"least_snapshots", "4"}});
      },
      {"preparing 'infmatch'", "--most-snapshots 3", "--least-snapshots 4"});
}

TEST(Dm, TakesNetworksInTrainingWhereExpertsAreGiven) {
  Fixture f("dm", {{"max_age", "1"}}, "none");
  f.objective->begin(7, f.view);
  const NetworkPool pool({f.data, *f.network, f.layout, "none", 5, at::Device(at::kCPU)},
                         {tests::toy_experts(kNetwork), 1}, "testing");
  const at::Tensor theta = pool.any(RandomStream(5, "dm.network", 7)).to(at::kDouble);
  double expected = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const auto mean = [&](const at::Tensor& x) {
      return f.network->observe({theta, {}, x.to(at::kDouble)}, {"features"})
          .taps.at("features")
          .mean(0);
    };
    const at::Tensor real =
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU);
    const at::Tensor mine = f.view.images.slice(0, f.view.offset(c), f.view.offset(c + 1));
    expected += (mean(mine) - mean(real)).square().sum().item<double>();
  }
  EXPECT_NEAR(f.at(f.view.images).loss, expected, 1e-5 * expected);
  EXPECT_TRUE(f.objective->identity().starts_with("experts "));
  EXPECT_EQ(Fixture("dm", {{"experts", ""}}).objective->identity(), "");
}

}  // namespace
}  // namespace retort::methods
