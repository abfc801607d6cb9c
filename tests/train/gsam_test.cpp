// FTD's update: what it reduces to, and one step against the reference's rule written out.
#include "train/gsam.h"

#include <gtest/gtest.h>

#include "retort/core/random.h"
#include "retort/train/trainer.h"
#include "support/golden_tensors.h"
#include "support/support.h"

namespace retort::train {
namespace {

const nets::Shape kShape{1, 8, 8, 3};
const at::Device kCpu(at::kCPU);

at::Tensor images_for(int64_t rows) {
  at::Tensor images = at::empty({rows, kShape.channels, kShape.height, kShape.width});
  RandomStream(1, "test.images").fill_normal(images.data_ptr<float>(), images.numel());
  return images.to(at::kDouble);
}

at::Tensor labels_for(int64_t rows) {
  return at::arange(rows, at::kLong).remainder(3);
}

/// One step of plain or flat SGD from the same float64 parameters.
at::Tensor after_a_step(const nets::Network& network, const Gsam& flat, int64_t epochs = 1) {
  TrainOptions options;
  options.momentum = 0;
  options.weight_decay = 0;
  options.learning_rate = 0.1;
  options.schedule = "constant";
  options.epochs = epochs;
  options.flat = flat;
  const TrainSeed seed{5, "expert", 0};
  const auto source = data::tensor_source(images_for(6), labels_for(6));
  Student student{source.get(), 0, initial_start(network, seed)};
  student.start.theta = student.start.theta.to(at::kDouble);
  return train(network, student, options, seed, kCpu).theta;
}

at::Tensor gradient_at(const nets::Network& network, const at::Tensor& theta) {
  return network.gradient({theta, {}, images_for(6)}, losses::Targets{labels_for(6)}).theta;
}

/// The rule of the reference code, with its signs, e added and taken away, and norms as it has
/// them.
at::Tensor written_out(const nets::Network& network, at::Tensor theta, const Gsam& flat) {
  const at::Tensor g = gradient_at(network, theta);
  const double scale = flat.adaptive ? (theta.abs() * g).square().sum().sqrt().item<double>()
                                     : g.square().sum().sqrt().item<double>();
  const at::Tensor e = (flat.adaptive ? theta.square() * g : g) * (flat.rho / (scale + 1e-12));
  theta = theta + e;
  const at::Tensor h = gradient_at(network, theta);
  const double size_g = g.square().sum().sqrt().item<double>();
  const double size_h = h.square().sum().sqrt().item<double>();
  const double cosine = (g * h).sum().item<double>() / (size_g * size_h + 1e-12);
  const at::Tensor across = g - cosine * size_g * h / (size_h + 1e-12);
  return theta - e - 0.1 * (h - flat.alpha * across);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(FlatUpdate, IsTheReferenceRuleInOneStep) {
  const auto network = nets::make_network("convnet-w8-d1", kShape);
  const at::Tensor theta = network->initial(RandomStream(5, "expert.initial", 0)).to(at::kDouble);
  for (const bool adaptive : {true, false}) {
    const Gsam flat{true, 0.05, 0.3, adaptive};
    EXPECT_LT(distance(after_a_step(*network, flat), written_out(*network, theta, flat)), 1e-12);
    EXPECT_GT(distance(after_a_step(*network, flat), after_a_step(*network, {})), 1e-5);
  }
}

// The authors' GSAM, one step of SGD at 0.1: tests/golden/README.md.
TEST(FlatUpdate, IsTheAuthors) {
  const auto network = nets::make_network("convnet-w4-d2-swish", {3, 8, 8, 3});
  tests::Golden golden("gsam");
  const at::Tensor images = tests::hashed({6, 3, 8, 8}, 2).mul(2), labels = labels_for(6);
  const at::Tensor theta = network->initial(RandomStream(5, "test.gsam")).to(at::kDouble);
  golden.input("theta", theta);
  golden.input("images", images);
  golden.input("labels", labels);
  for (const bool adaptive : {true, false}) {
    const Gsam flat{true, 0.05, 0.3, adaptive};
    const auto gradient = [&](const at::Tensor& at) {
      return network->gradient({at, {}, images}, losses::Targets{labels}).theta;
    };
    const at::Tensor g = gradient(theta);
    const at::Tensor way = gsam_direction(g, gradient(ascent_point(theta, g, flat)), flat);
    golden.answer(adaptive ? "adaptive" : "plain", theta - 0.1 * way, 1e-12);
  }
}

TEST(FlatUpdate, IsThatOfTwoNumbersByHand) {
  // theta (1, 2), g (3, 4): |theta| g = (3, 8), its norm 73^1/2, e = rho (3, 16) / 73^1/2.
  const at::Tensor theta = at::tensor({1.0, 2.0}), g = at::tensor({3.0, 4.0});
  const at::Tensor nearby = ascent_point(theta, g, {true, std::sqrt(73.0), 0.3, true});
  EXPECT_LT(distance(nearby, at::tensor({4.0, 18.0})), 1e-10);
  // Beside g' = (2, 0), g has the part (0, 4) across it.
  const at::Tensor direction = gsam_direction(g, at::tensor({2.0, 0.0}), {true, 1, 0.5, true});
  EXPECT_LT(distance(direction, at::tensor({2.0, -2.0})), 1e-10);
}

TEST(FlatUpdate, WithoutRhoIsPlainSgd) {
  const auto network = nets::make_network("mlp", kShape);
  EXPECT_LT(
      distance(after_a_step(*network, {true, 0, 0.3, true}, 3), after_a_step(*network, {}, 3)),
      1e-11);
}

TEST(FlatUpdate, WithoutAlphaIsSam) {
  const auto network = nets::make_network("mlp", kShape);
  const at::Tensor theta = network->initial(RandomStream(5, "expert.initial", 0)).to(at::kDouble);
  const at::Tensor g = gradient_at(*network, theta);
  const at::Tensor sam = theta - 0.1 * gradient_at(*network, theta + 0.05 * g / g.norm());
  EXPECT_LT(distance(after_a_step(*network, {true, 0.05, 0, false}), sam), 1e-12);
}

}  // namespace
}  // namespace retort::train
