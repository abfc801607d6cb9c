// CIM against values worked out with the teacher itself.
#include <gtest/gtest.h>

#include <set>

#include "methods/decoupled/decoupled.h"
#include "methods/toy.h"
#include "methods/toy_teacher.h"
#include "retort/core/error.h"
#include "retort/losses/losses.h"
#include "support/support.h"

namespace retort::methods {
namespace {

constexpr const char* kTeacher = "convnet-w4-d2-bn-tanh";

struct Fixture {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network = nets::make_network("convnet-w4-d2", {3, 8, 8, 3});
  synthetic::SetLayout layout{{2, 3, 1}, 3, 8, 8};
  std::unique_ptr<Method> method = make_cim();
  OptionSet options;
  std::unique_ptr<Objective> objective;
  SyntheticSet view{{}, layout.labels(), layout.offsets()};

  explicit Fixture(const std::string& augmentation, const std::string& layer = "features") {
    method->declare(options);
    Problems problems;
    options.set("teacher", tests::toy_teacher_file(kTeacher), "test", problems);
    options.set("feature_layer", layer, "test", problems);
    problems.raise("test");
    objective = method->objective({data, *network, layout, augmentation, 5, at::Device(at::kCPU)});
    view.images = objective->starting_images(at::zeros({6, 3, 8, 8}), false);
  }
  Cotangents at(const at::Tensor& images) {
    SyntheticSet moved = view;
    moved.images = images;
    return objective->evaluate(moved, 0);
  }
};

TEST(Cim, AnchorsAreTheImagesThatTheTeacherKnowsBest) {
  Fixture f("none");
  const teachers::Teacher teacher = tests::toy_teacher(kTeacher);
  const auto network = teacher.build();
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor all =
        f.data.preprocessing.apply(f.data.train.images.slice(0, 12 * c, 12 * c + 12), at::kCPU);
    const at::Tensor losses = losses::row_losses(
        network->predict(teacher.theta, teacher.state, all), {at::full({12}, c, at::kLong)});
    const at::Tensor order = losses.argsort();
    for (int64_t i = f.view.offset(c); i < f.view.offset(c + 1); ++i)
      EXPECT_TRUE(f.view.images[i].equal(all[order[i - f.view.offset(c)].item<int64_t>()])) << i;
  }
}

TEST(Cim, NothingPullsAtTheAnchorsThemselves) {
  Fixture f("all:crop_cutout_flip");
  f.objective->begin(0, f.view);
  const Cotangents found = f.at(f.view.images);
  EXPECT_EQ(found.loss, 0);
  EXPECT_EQ(found.images.abs().max().item<double>(), 0);
}

TEST(Cim, LossIsTheSumOfMeanAbsoluteDifferences) {
  for (const char* layer : {"features", "block2.conv.input"}) {
    Fixture f("none", layer);
    f.objective->begin(0, f.view);
    const teachers::Teacher teacher = tests::toy_teacher(kTeacher);
    const auto network = teacher.build();
    const auto see = [&](const at::Tensor& x) {
      return network
          ->observe({teacher.theta.to(at::kDouble),
                     teacher.state.to(at::kDouble),
                     x.to(at::kDouble),
                     {},
                     nets::NormMode::kFrozen},
                    {layer})
          .taps.at(layer)
          .flatten(1);
    };
    const at::Tensor moved = (f.view.images * 0.5).to(at::kDouble);
    const double expected = (see(moved) - see(f.view.images)).abs().mean(1).sum().item<double>();
    EXPECT_NEAR(f.at(moved).loss, expected, 1e-9 * expected) << layer;
  }
}

TEST(Cim, CotangentsAreTheDerivativeOfTheLoss) {
  Fixture f("all:crop_cutout_flip", "block2.conv.input");
  f.objective->begin(1, f.view);
  const at::Tensor images = (f.view.images * 0.7 + 0.1).to(at::kDouble);
  const at::Tensor v = at::sin(at::arange(images.numel(), at::kDouble) * 0.37).view_as(images);
  const double e = 1e-7;  // the loss has a kink where a difference is 0
  const double found = (f.at(images).images * v).sum().item<double>();
  EXPECT_NEAR((f.at(images + e * v).loss - f.at(images - e * v).loss) / (2 * e), found,
              1e-5 * std::abs(found) + 1e-6);
}

TEST(Cim, ImagesThatAreGivenStay) {
  Fixture f("none");
  const at::Tensor given = at::ones({6, 3, 8, 8});
  EXPECT_TRUE(f.objective->starting_images(given, true).equal(given));
}

TEST(Cim, RefusesALayerThatIsNotThere) {
  tests::expect_error<ConfigError>([] { Fixture("none", "block7.conv.input"); },
                                   {"preparing 'cim'", "block7.conv.input", "block2.conv.input"});
}

}  // namespace
}  // namespace retort::methods
