#include "methods/matching/dm.h"

#include <gtest/gtest.h>

#include "methods/toy.h"

namespace retort::methods {
namespace {

/// A DM objective on toy data with a smooth network.
struct Fixture {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::SetLayout layout;
  std::unique_ptr<Method> method = make_dm();
  int64_t real_batch = 12;
  OptionSet options;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

  explicit Fixture(std::vector<int64_t> counts, const std::string& net = "convnet-w4-d2-tanh",
                   const std::string& augmentation = "none") {
    network = nets::make_network(net, {3, 8, 8, 3});
    layout = {std::move(counts), 3, 8, 8};
    method->declare(options);
    Problems problems;
    options.set("real_batch", "12", "test", problems);
    objective = method->objective({data, *network, layout, augmentation, 5, at::Device(at::kCPU)});
    view.offsets = layout.offsets();
    view.labels = layout.labels();
    view.images = at::empty({layout.size(), 3, 8, 8});
    RandomStream(1, "test").fill_normal(view.images.data_ptr<float>(), view.images.numel());
  }
  Cotangents at(const at::Tensor& images) {
    SyntheticSet moved = view;
    moved.images = images;
    return objective->evaluate(moved, 0);
  }
};

TEST(Dm, CotangentsAreTheDerivativeOfTheLoss) {
  for (const char* augmentation : {"none", "scale", "color"}) {
    Fixture f({2, 1, 3}, "convnet-w4-d2-tanh", augmentation);
    f.objective->begin(0, f.view);
    const at::Tensor images = f.view.images.to(at::kDouble);
    at::Tensor direction = at::empty_like(f.view.images);
    RandomStream(2, "direction").fill_normal(direction.data_ptr<float>(), direction.numel());
    direction = direction.to(at::kDouble);
    const double step = 1e-5;
    const double up = f.at(images + step * direction).loss,
                 down = f.at(images - step * direction).loss;
    const double expected = (f.at(images).images * direction).sum().item<double>();
    EXPECT_NEAR((up - down) / (2 * step), expected, 1e-6 * std::abs(expected)) << augmentation;
  }
}

TEST(Dm, IsZeroWhereTheRealBatchIsTheSet) {
  Fixture f({12, 12, 12});
  std::vector<int64_t> rows;
  for (const auto& members : f.data.train.rows_by_class)
    rows.insert(rows.end(), members.begin(), members.end());
  f.objective->begin(0, f.view);
  const at::Tensor images = f.data.preprocessing.apply(
      f.data.train.images.index_select(0, at::tensor(rows, at::kLong)), at::Device(at::kCPU));
  const Cotangents found = f.at(images);
  EXPECT_LT(found.loss, 1e-9);
  EXPECT_LT(found.images.abs().max().item<double>(), 1e-5);
}

// Repeating every image of a class leaves its mean as it is and halves each copy's gradient.
TEST(Dm, GradientIsSharedByTheImagesOfAClass) {
  Fixture one({1, 1, 1}), two({2, 2, 2});
  one.objective->begin(3, one.view);
  two.objective->begin(3, two.view);
  const Cotangents single = one.objective->evaluate(one.view, 0);
  const Cotangents doubled = two.at(one.view.images.repeat_interleave(2, 0));
  EXPECT_NEAR(single.loss, doubled.loss, 1e-5 * single.loss);
  EXPECT_TRUE(at::allclose(single.images / 2, doubled.images.slice(0, 0, 6, 2), 1e-4, 1e-7));
}

TEST(Dm, ClassesAreSeparableWithoutBatchNorm) {
  Fixture f({2, 2, 2}), g({2, 2, 2});
  f.objective->begin(0, f.view);
  g.objective->begin(0, g.view);
  const at::Tensor base = f.objective->evaluate(f.view, 0).images.clone();
  at::Tensor other = g.view.images.clone();
  other.slice(0, 2, 4).add_(1);
  const at::Tensor moved = g.at(other).images;
  EXPECT_TRUE(at::allclose(base.slice(0, 0, 2), moved.slice(0, 0, 2), 1e-5, 1e-7));
  EXPECT_TRUE(at::allclose(base.slice(0, 4, 6), moved.slice(0, 4, 6), 1e-5, 1e-7));
  EXPECT_FALSE(at::allclose(base.slice(0, 2, 4), moved.slice(0, 2, 4), 1e-3, 1e-4));
}

TEST(Dm, BatchNormSeesAllClassesAtOnce) {
  Fixture f({2, 2, 2}, "convnet-w4-d2-bn-tanh"), g({2, 2, 2}, "convnet-w4-d2-bn-tanh");
  f.objective->begin(0, f.view);
  g.objective->begin(0, g.view);
  const at::Tensor base = f.objective->evaluate(f.view, 0).images.clone();
  at::Tensor other = g.view.images.clone();
  other.slice(0, 2, 4).mul_(3);
  EXPECT_FALSE(at::allclose(base.slice(0, 0, 2), g.at(other).images.slice(0, 0, 2), 1e-4, 1e-6));
}

TEST(Dm, DrawsAnotherNetworkEveryIteration) {
  Fixture f({1, 1, 1});
  f.objective->begin(0, f.view);
  const double first = f.objective->evaluate(f.view, 0).loss;
  f.objective->begin(1, f.view);
  EXPECT_NE(f.objective->evaluate(f.view, 0).loss, first);
  f.objective->begin(0, f.view);
  EXPECT_EQ(f.objective->evaluate(f.view, 0).loss, first);
}

}  // namespace
}  // namespace retort::methods
