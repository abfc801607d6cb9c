// CAFE's losses on small tensors, its schedule by hand, and the whole against a restatement of it.
#include "methods/matching/cafe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "methods/matching/matching.h"
#include "methods/toy.h"

namespace retort::methods {
namespace {

// Centres (1, 0) and (0, 1); a feature (2, 1) of class 0 has the logits 2 and 1: the loss is
// log(1 + e^-1), its derivative (p - 1, 1 - p) times the feature with p = 1 / (1 + e^-1).
TEST(CafeDiscrimination, OfOneFeatureByHand) {
  const at::Tensor features = at::tensor({2.0, 1.0}, at::kDouble).view({1, 2});
  const Discrimination found = discrimination(features, at::eye(2, at::kDouble), 0);
  const double p = 1 / (1 + std::exp(-1.0));
  EXPECT_NEAR(found.value.item<double>(), std::log1p(std::exp(-1.0)), 1e-14);
  const at::Tensor wanted =
      at::tensor({2 * (p - 1), p - 1, 2 * (1 - p), 1 - p}, at::kDouble).view({2, 2});
  EXPECT_TRUE(at::allclose(found.centres, wanted, 1e-12, 1e-14));
}

TEST(CafeDiscrimination, DerivativeIsThatOfDifferences) {
  const auto waves = [](int64_t rows, int64_t columns, double step) {
    return at::sin(at::arange(rows * columns, at::kDouble) * step).view({rows, columns});
  };
  const at::Tensor features = waves(5, 4, 0.7), centres = waves(3, 4, 1.3), v = waves(3, 4, 0.3);
  const double e = 1e-6;
  const auto along = [&](double step) {
    return discrimination(features, centres + step * v, 2).value.item<double>();
  };
  EXPECT_NEAR((along(e) - along(-e)) / (2 * e),
              (discrimination(features, centres, 2).centres * v).sum().item<double>(), 1e-8);
}

TEST(CafeWatcher, KnowsTheSpreadOfTheLastValues) {
  Watcher watcher(3);
  watcher.see(0.9);
  watcher.see(0.2);
  EXPECT_FALSE(watcher.full());
  watcher.see(0.3);
  EXPECT_TRUE(watcher.full());
  EXPECT_NEAR(watcher.spread(), 0.7, 1e-15);
  watcher.see(0.25);
  EXPECT_NEAR(watcher.spread(), 0.1, 1e-15);
}

TEST(CafeLayers, AreWhatEntersConvolutionsAfterTheFirstAndTheFeatures) {
  const auto network = nets::make_network("convnet-w4-d3", {3, 8, 8, 3});
  EXPECT_EQ(compared_layers(*network),
            (std::vector<std::string>{"block2.conv.input", "block3.conv.input", "features"}));
}

struct Fixture {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network = nets::make_network("convnet-w4-d2-tanh", {3, 8, 8, 3});
  synthetic::SetLayout layout{{2, 1, 3}, 3, 8, 8};
  std::unique_ptr<Method> method = make_cafe();
  OptionSet options;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

  explicit Fixture(const std::string& augmentation,
                   const std::vector<std::pair<std::string, std::string>>& set = {}) {
    method->declare(options);
    Problems problems;
    options.set("watched", "2", "test", problems);
    options.set("max_inner_epochs", "3", "test", problems);
    for (const auto& [key, text] : set) options.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective({data, *network, layout, augmentation, 5, at::Device(at::kCPU)});
    view = {at::empty({layout.size(), 3, 8, 8}), layout.labels(), layout.offsets()};
    RandomStream(1, "test").fill_normal(view.images.data_ptr<float>(), view.images.numel());
  }
  Cotangents at(const at::Tensor& images, int64_t step = 0) {
    SyntheticSet moved = view;
    moved.images = images;
    return objective->evaluate(moved, step);
  }
};

TEST(Cafe, CotangentsAreTheDerivativeOfTheLoss) {
  for (const char* augmentation : {"none", "scale", "color"}) {
    Fixture f(augmentation);
    f.objective->begin(0, f.view);
    const at::Tensor images = f.view.images.to(at::kDouble);
    const at::Tensor v = at::sin(at::arange(images.numel(), at::kDouble) * 0.37).view_as(images);
    const double e = 1e-5;
    const double found = (f.at(images).images * v).sum().item<double>();
    EXPECT_NEAR((f.at(images + e * v).loss - f.at(images - e * v).loss) / (2 * e), found,
                1e-6 * std::abs(found))
        << augmentation;
  }
}

// Real batches of whole classes, no augmentation: everything can be taken from the network here.
TEST(Cafe, IsAlignmentOfAllLayersAndDiscrimination) {
  Fixture f("none");
  f.objective->begin(2, f.view);
  const at::Tensor theta = f.network->initial(RandomStream(5, "cafe.network", 2)).to(at::kDouble);
  const at::Tensor images = f.view.images.to(at::kDouble);
  const auto layers = [&](const at::Tensor& x, const char* tap) {
    return f.network->observe({theta, {}, x}, {tap}).taps.at(tap);
  };
  std::vector<at::Tensor> centres, real;
  for (int64_t c = 0; c < 3; ++c) {
    centres.push_back(
        layers(images.slice(0, f.view.offset(c), f.view.offset(c + 1)), "features").mean(0));
    real.push_back(
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU)
            .to(at::kDouble));
  }
  double expected = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor mine = images.slice(0, f.view.offset(c), f.view.offset(c + 1));
    const auto gap = [&](const char* tap) {
      return (layers(mine, tap).mean(0) - layers(real[c], tap).mean(0))
          .square()
          .sum()
          .item<double>();
    };
    expected += 0.1 * gap("block2.conv.input") + 2 * gap("features");
    const at::Tensor logits = layers(real[c], "features").mm(at::stack(centres).t());
    expected -= 0.01 * at::log_softmax(logits, 1).select(1, c).sum().item<double>();
  }
  EXPECT_NEAR(f.at(images).loss, expected, 1e-6 * expected);
}

TEST(Cafe, ANetworkIsMatchedUntilItsAccuracyStays) {
  // Any two accuracies are closer than 1: the second step is the last.
  Fixture settled("none", {{"matching_spread", "1"}});
  settled.objective->begin(0, settled.view);
  EXPECT_EQ(settled.objective->steps(), 1);
  settled.at(settled.view.images, 0);
  EXPECT_EQ(settled.objective->steps(), 2);
  settled.at(settled.view.images, 1);
  EXPECT_EQ(settled.objective->steps(), 2);
  // None are closer than 0: the bound ends it.
  Fixture bounded("none", {{"matching_spread", "0"}, {"max_matching_steps", "4"}});
  bounded.objective->begin(0, bounded.view);
  int64_t steps = 0;
  for (; steps < bounded.objective->steps(); ++steps) bounded.at(bounded.view.images, steps);
  EXPECT_EQ(steps, 4);
}

TEST(Cafe, TheSameStepAgainIsTheSame) {
  Fixture f("none");
  f.objective->begin(0, f.view);
  f.at(f.view.images, 0);
  const double once = f.at(f.view.images, 1).loss;
  EXPECT_EQ(f.at(f.view.images, 1).loss, once);
  EXPECT_NE(f.at(f.view.images, 0).loss, 0);
}

}  // namespace
}  // namespace retort::methods
