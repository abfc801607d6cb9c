#include "methods/gradient/dc.h"

#include <gtest/gtest.h>

#include "methods/gradient/gradient_matching.h"
#include "methods/outer_loop.h"
#include "methods/toy.h"

namespace retort::methods {
namespace {

using gradient::Bounds;
using gradient::GradientMatching;
using gradient::Options;

/// Gradient matching on toy data with a smooth network.
struct Fixture {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::SetLayout layout;
  Options options;
  SyntheticSet view;

  explicit Fixture(std::vector<int64_t> counts, const std::string& net = "convnet-w4-d1-tanh") {
    network = nets::make_network(net, {3, 8, 8, 3});
    layout = {std::move(counts), 3, 8, 8};
    options.real_batch = 12;
    options.inner_loop = 2;
    view.offsets = layout.offsets();
    view.labels = layout.labels();
    view.images = at::empty({layout.size(), 3, 8, 8});
    RandomStream(1, "test").fill_normal(view.images.data_ptr<float>(), view.images.numel());
  }
  Context context(const std::string& augmentation = "none") const {
    return {data, *network, layout, augmentation, 5, at::Device(at::kCPU)};
  }
  std::unique_ptr<GradientMatching> objective(const std::string& augmentation = "none",
                                              const Bounds& bounds = {}) const {
    Options asked = options;
    asked.augmented = augmentation != "none";
    return std::make_unique<GradientMatching>(context(augmentation), asked, bounds);
  }
  /// At matching step 0 of iteration 0.
  Cotangents at(Objective& objective, const at::Tensor& images) const {
    SyntheticSet moved = view;
    moved.images = images;
    objective.begin(0, moved);
    return objective.evaluate(moved, 0);
  }
  /// Every real image, class after class.
  at::Tensor all_real() const {
    std::vector<int64_t> rows;
    for (const auto& members : data.train.rows_by_class)
      rows.insert(rows.end(), members.begin(), members.end());
    return data.preprocessing.apply(data.train.images.index_select(0, at::tensor(rows, at::kLong)),
                                    at::Device(at::kCPU));
  }
};

void expect_derivative(const Fixture& f, const std::string& augmentation = "none") {
  const auto objective = f.objective(augmentation);
  const at::Tensor images = f.view.images.to(at::kDouble);
  at::Tensor direction = at::empty_like(f.view.images);
  RandomStream(2, "direction").fill_normal(direction.data_ptr<float>(), direction.numel());
  direction = direction.to(at::kDouble);
  const double wanted = (f.at(*objective, images).images * direction).sum().item<double>();
  const double step = 1e-5;
  const double up = f.at(*objective, images + step * direction).loss,
               down = f.at(*objective, images - step * direction).loss;
  EXPECT_NEAR((up - down) / (2 * step), wanted, 1e-5 * std::abs(wanted)) << augmentation;
}

TEST(Dc, CotangentsAreTheDerivativeOfEveryDistance) {
  for (const char* distance : {"ours", "mse", "cos"}) {
    Fixture f({2, 1, 3});
    f.options.distance = distance;
    expect_derivative(f);
  }
}

TEST(Dc, CotangentsAreTheDerivativeWithFrozenBatchNorm) {
  for (const char* calibration : {"reference", "proper"}) {
    Fixture f({2, 1, 3}, "convnet-w4-d2-bn-tanh");
    f.options.batchnorm_calibration = calibration;
    expect_derivative(f);
  }
}

TEST(Dsa, CotangentsAreTheDerivativeThroughTheAugmentation) {
  for (const char* augmentation : {"color", "crop", "cutout", "flip", "scale", "rotate"})
    expect_derivative(Fixture({2, 1, 3}), augmentation);
}

TEST(Dc, ClassAfterClassIsTheSameAsAllAtOnce) {
  for (const char* net : {"convnet-w4-d1-tanh", "convnet-w4-d2-bn-tanh"}) {
    const Fixture f({2, 1, 3}, net);
    const Cotangents all = f.at(*f.objective("color_crop"), f.view.images);
    const Cotangents rows = f.at(*f.objective("color_crop", {.rows = 1}), f.view.images);
    const Cotangents numbers = f.at(*f.objective("color_crop", {.gradient = 1}), f.view.images);
    for (const Cotangents* part : {&rows, &numbers}) {
      EXPECT_NEAR(all.loss, part->loss, 1e-6 * all.loss);
      EXPECT_TRUE(at::allclose(all.images, part->images, 1e-4, 1e-7));
    }
  }
}

// The same images under another draw would have another gradient.
TEST(Dsa, BothSidesOfAClassAreAugmentedAlike) {
  const Fixture f({12, 12, 12});
  for (const char* augmentation : {"color", "crop", "cutout", "scale", "rotate"}) {
    const Cotangents found = f.at(*f.objective(augmentation), f.all_real());
    EXPECT_LT(found.loss, 0.01) << augmentation;
    EXPECT_GT(f.at(*f.objective(augmentation), f.all_real().roll(12, 0)).loss, 1) << augmentation;
  }
}

TEST(Dsa, WithoutAugmentationIsDc) {
  const Fixture f({2, 2, 2});
  Options augmented = f.options;
  augmented.augmented = true;
  GradientMatching dsa(f.context("none"), augmented), dc(f.context("color"), f.options);
  EXPECT_EQ(f.at(dsa, f.view.images).loss, f.at(dc, f.view.images).loss);
  EXPECT_NE(f.at(*f.objective("color"), f.view.images).loss, f.at(dc, f.view.images).loss);
}

TEST(Dc, LoopSizesAreThePublishedOnes) {
  const std::vector<std::array<int64_t, 3>> table{{1, 1, 1},    {10, 10, 50}, {20, 20, 25},
                                                  {30, 30, 20}, {40, 40, 15}, {50, 50, 10},
                                                  {2, 2, 50},   {15, 15, 38}, {100, 50, 10}};
  for (const auto& [images, outer, inner] : table) {
    EXPECT_EQ(gradient::published_loops(images).outer, outer) << images;
    EXPECT_EQ(gradient::published_loops(images).inner, inner) << images;
    EXPECT_EQ(Fixture({1, images, 1}).objective()->steps(), outer) << images;
  }
}

TEST(Dc, AnIterationTakesAsManyImageSteps) {
  Fixture f({3, 1, 2});
  DistillOptions loop;
  loop.image_learning_rate = 0.1;
  loop.image_momentum = 0;
  auto set = synthetic::parametrisation_table().front().make()->make({f.layout});
  set->initialise(f.view.images.clone());
  OuterLoop outer(loop, std::move(set), f.objective());
  outer.step(4);
  const auto objective = f.objective();
  SyntheticSet view = f.view;
  objective->begin(4, view);
  view.images = view.images.clone();
  for (int64_t t = 0; t < 3; ++t)
    view.images.sub_(objective->evaluate(view, t).images, loop.image_learning_rate);
  EXPECT_TRUE(outer.result().images.equal(view.images));
}

TEST(Dc, LaterStepsMatchATrainedNetwork) {
  Fixture f({2, 2, 2}), longer({2, 2, 2});
  longer.options.inner_loop = 5;
  const auto a = f.objective(), b = longer.objective();
  a->begin(0, f.view);
  b->begin(0, f.view);
  const double first = a->evaluate(f.view, 0).loss;
  EXPECT_EQ(b->evaluate(f.view, 0).loss, first);
  const double second = a->evaluate(f.view, 1).loss;
  EXPECT_NE(second, first);
  EXPECT_NE(b->evaluate(f.view, 1).loss, second);
  EXPECT_EQ(f.at(*a, f.view.images).loss, first);  // nothing is left of an iteration
}

// A step is a number, not a count of calls: asked again, it neither trains nor calibrates further.
TEST(Dc, AStepAskedAgainAnswersTheSame) {
  for (const char* network : {"convnet-w4-d1-tanh", "convnet-w4-d1-bn-tanh"}) {
    SCOPED_TRACE(network);
    Fixture f({2, 1, 2}, network);
    const auto objective = f.objective();
    objective->begin(0, f.view);
    for (int64_t step = 0; step < 2; ++step) {
      const Cotangents once = objective->evaluate(f.view, step);
      SyntheticSet other = f.view;
      other.images = f.view.images + 1;
      EXPECT_NE(objective->evaluate(other, step).loss, once.loss);
      const Cotangents again = objective->evaluate(f.view, step);
      EXPECT_EQ(again.loss, once.loss);
      EXPECT_TRUE(again.images.equal(once.images));
    }
  }
}

TEST(Dc, InnerTrainingIsPlainGradientDescent) {
  const Fixture f({2, 1, 3});
  const at::Tensor start = f.network->initial(RandomStream(0, "test"));
  gradient::Student student{start.clone(), f.network->initial_state()};
  gradient::train_inner(*f.network, f.view, {}, 3, 0.1, {}, student);
  at::Tensor wanted = start.clone();
  for (int epoch = 0; epoch < 3; ++epoch)
    wanted.sub_(f.network->gradient({wanted, at::Tensor(), f.view.images}, {f.view.labels}).theta,
                0.1);
  EXPECT_TRUE(at::allclose(student.theta, wanted, 1e-4, 1e-6));
}

TEST(Dc, InnerTrainingTakesBatchesOf256AndTheRest) {
  const Fixture f({200, 50, 10});
  const at::Tensor start = f.network->initial(RandomStream(0, "test"));
  gradient::Student student{start.clone(), f.network->initial_state()};
  gradient::train_inner(*f.network, f.view, {}, 1, 0.1, {7, 1, 2}, student);
  const at::Tensor order =
      at::tensor(RandomStream(7, "gradient.order", 1, 2, 0).permutation(260), at::kLong);
  at::Tensor wanted = start.clone();
  for (const at::Tensor& rows : {order.slice(0, 0, 256), order.slice(0, 256)})
    wanted.sub_(f.network
                    ->gradient({wanted, at::Tensor(), f.view.images.index_select(0, rows)},
                               {f.view.labels.index_select(0, rows)})
                    .theta,
                0.1);
  EXPECT_TRUE(at::allclose(student.theta, wanted, 1e-5, 1e-7));
}

TEST(Dc, BatchNormIsCalibratedATenthOfTheWayOrProperly) {
  const Fixture f({1, 1, 1}, "convnet-w4-d1-bn");
  const gradient::Student student{f.network->initial(RandomStream(0, "test")),
                                  f.network->initial_state()};
  const at::Tensor images = f.all_real() + 5;
  const at::Tensor seen =
      f.network->observe({student.theta, student.state, images}, {"block1.norm.input"})
          .taps.at("block1.norm.input");
  const at::Tensor mean = seen.mean({0, 2, 3}), variance = seen.var({0, 2, 3});
  const at::Tensor once = gradient::calibrated_state(*f.network, student, {images}, false);
  EXPECT_TRUE(at::allclose(once.slice(0, 0, 4), mean / 10, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(once.slice(0, 4, 8), 0.9 + variance / 10, 1e-4, 1e-5));
  const at::Tensor proper = gradient::calibrated_state(*f.network, student, {images, images}, true);
  EXPECT_TRUE(at::allclose(proper.slice(0, 0, 4), mean, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(proper.slice(0, 4, 8), variance, 1e-4, 1e-5));
}

TEST(Dc, SuggestsThePublishedSettings) {
  const LoopDefaults dc = make_dc()->defaults(), dsa = make_dsa()->defaults();
  EXPECT_EQ(dc.initialisation, "noise");
  EXPECT_EQ(dc.protocol, "dc");
  EXPECT_EQ(dsa.initialisation, "real");
  EXPECT_EQ(dsa.protocol, "dm");
  EXPECT_EQ(dsa.image_learning_rate, 0.1);
}

}  // namespace
}  // namespace retort::methods
