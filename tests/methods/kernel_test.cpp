// Kernel regression against systems solved by hand, and every derivative against finite
// differences.
#include "methods/kernel/kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "methods/kernel/label_margin.h"
#include "methods/kernel/ridge.h"
#include "methods/kernel/tangent_kernel.h"
#include "methods/toy.h"
#include "retort/core/error.h"
#include "retort/losses/losses.h"
#include "support/support.h"

namespace retort::methods {
namespace {

constexpr double kPi = std::numbers::pi;

at::Tensor normals(std::vector<int64_t> shape, const char* purpose) {
  at::Tensor values = at::empty(shape);
  RandomStream(3, purpose).fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

at::Tensor matrix(std::vector<double> values, int64_t columns) {
  return at::tensor(values, at::kDouble).view({-1, columns});
}

/// The fourth-order central difference of f at x along v.
template <class Function>
double slope(const Function& f, const at::Tensor& x, const at::Tensor& v, double step) {
  const auto pair = [&](double h) { return f(x + h * v) - f(x - h * v); };
  return (8 * pair(step) - pair(2 * step)) / (12 * step);
}

// K_ss = [[2, 1, 0], [1, 2, 1], [0, 1, 2]] has trace 6: with regularisation 1/2, A = K_ss + I, of
// determinant 21 and inverse [[8, -3, 1], [-3, 9, -3], [1, -3, 8]] / 21.
struct ThreePrototypes {
  at::Tensor k_ss = matrix({2, 1, 0, 1, 2, 1, 0, 1, 2}, 3);
  at::Tensor k_ts = matrix({1, 0, 2}, 3);
  at::Tensor labels = matrix({21, 0, 0, 42, 21, 21}, 2);
  KernelRidge ridge{k_ss, k_ts, 0.5};
};

TEST(KernelRidge, SolvesThreePrototypesAsByHand) {
  const ThreePrototypes three;
  // A^-1 Y = [[9, -5], [-6, 15], [9, 2]].
  EXPECT_TRUE(at::allclose(three.ridge.predict(three.labels), matrix({27, -1}, 2), 0, 1e-12));
}

TEST(KernelRidge, DerivativesAreThoseByHand) {
  const ThreePrototypes three;
  const RidgeCotangents found = three.ridge.vjp(three.labels, matrix({1, 0}, 2));
  EXPECT_TRUE(at::allclose(found.target, matrix({9, -6, 9}, 3), 0, 1e-12));
  // u = A^-1 [1, 0, 2] = [10, -9, 17] / 21; dL/dA = -u alpha^T has the trace -(90 + 54 + 153) / 21.
  EXPECT_TRUE(at::allclose(found.labels, matrix({10, 0, -9, 0, 17, 0}, 2) / 21, 0, 1e-12));
  const at::Tensor entries = -matrix({90, -60, 90, -81, 54, -81, 153, -102, 153}, 3) / 21;
  const at::Tensor trace = at::eye(3, at::kDouble) * (-297.0 / 21 * 0.5 / 3);
  EXPECT_TRUE(at::allclose(found.support, entries + trace, 0, 1e-12));
}

TEST(KernelRidge, SolvedLabelsPredictTheTargets) {
  const at::Tensor points = normals({4, 6}, "points"), real = normals({4, 6}, "real");
  const KernelRidge ridge(points.mm(points.t()), real.mm(points.t()), 1e-3);
  const at::Tensor targets = normals({4, 3}, "targets");
  EXPECT_TRUE(at::allclose(ridge.predict(ridge.solve_labels(targets)), targets, 1e-8, 1e-8));
}

TEST(KernelRidge, RefusesAKernelOfNothing) {
  tests::expect_error<StateError>(
      [] {
        KernelRidge(at::zeros({2, 2}, at::kDouble), at::zeros({1, 2}, at::kDouble), 1e-6);
      },
      {"not positive definite", "--regularisation"});
}

// 256 numbers with a mean square of 1: the first covariance is 2 + 0.01 with itself.
TEST(TangentKernel, EqualAndOrthogonalInputsAreAsByHand) {
  const at::Tensor one = at::ones({1, 256}, at::kDouble);
  EXPECT_NEAR(tangent_kernel(one, one, 1).item<double>(), 2.02 + 2.01, 1e-12);
  EXPECT_NEAR(tangent_kernel(one, one, 2).item<double>(), 2.03 + 2.02 + 2.01, 1e-12);
  // A mean product of -0.005 makes the biases' 0.01 nothing: a right angle, where ReLU gives
  // |a| |b| / 2 pi and the tangent kernel, 0 so far, is the new covariance alone.
  at::Tensor other = at::ones({1, 256}, at::kDouble);
  other.slice(1, 0, 128).neg_();
  const at::Tensor tilted = -0.005 * one + std::sqrt(1 - 0.005 * 0.005) * other;
  EXPECT_NEAR(tangent_kernel(one, tilted, 1).item<double>(), 2 * 2.01 / (2 * kPi) + 0.01, 1e-12);
}

TEST(TangentKernel, IsSymmetricAndPositiveDefinite) {
  const at::Tensor points = normals({6, 5}, "points");
  const at::Tensor kernel = tangent_kernel(points, points, 3);
  EXPECT_TRUE(at::allclose(kernel, kernel.t(), 1e-14, 0));
  EXPECT_GT(at::linalg_eigvalsh(kernel).min().item<double>(), 0);
}

TEST(TangentKernel, DerivativesAreThoseOfFiniteDifferences) {
  const at::Tensor points = normals({4, 6}, "points"), real = normals({5, 6}, "real");
  const at::Tensor weights_ss = normals({4, 4}, "ss"), weights_ts = normals({5, 4}, "ts");
  for (const int64_t depth : {1, 3}) {
    const auto value = [&](const at::Tensor& x) {
      return (tangent_kernel(x, x, depth) * weights_ss).sum() +
             (tangent_kernel(real, x, depth) * weights_ts).sum();
    };
    const at::Tensor x = points.clone().requires_grad_(true);
    const at::Tensor gradient = torch::autograd::grad({value(x)}, {x})[0];
    const at::Tensor v = normals({4, 6}, "direction");
    const auto number = [&](const at::Tensor& at) { return value(at).item<double>(); };
    const double expected = (gradient * v).sum().item<double>();
    EXPECT_NEAR(slope(number, points, v, 1e-3), expected, 1e-8 * std::abs(expected)) << depth;
  }
}

TEST(TangentKernel, DerivativesOfRepeatedImagesAreFinite) {
  at::Tensor x = normals({1, 6}, "points").repeat({3, 1}).requires_grad_(true);
  const at::Tensor sum = tangent_kernel(x, x, 2).sum();
  // On the whole set scaled together the angle stays 0: that derivative exists.
  const at::Tensor gradient = torch::autograd::grad({sum}, {x})[0];
  const auto scaled = [&](const at::Tensor& by) {
    return tangent_kernel(x.detach() * by, x.detach() * by, 2).sum().item<double>();
  };
  const double expected = slope(scaled, at::ones({}, at::kDouble), at::ones({}, at::kDouble), 1e-3);
  EXPECT_NEAR((gradient * x.detach()).sum().item<double>(), expected, 1e-8 * expected);
}

TEST(LabelMargin, CountsTheLeadUpToOneShareOfAClass) {
  // Leads 0.5, cut to 1/4, and 0.125, which pushes its two classes apart by 1 / (2 rows).
  const at::Tensor labels = matrix({0.75, 0.25, 0, 0, 0, 0.25, 0, 0.375}, 4);
  const LabelMargin found = label_margin(labels);
  EXPECT_NEAR(found.loss, -(0.25 + 0.125) / 2, 1e-15);
  EXPECT_TRUE(found.gradient.equal(matrix({0, 0, 0, 0, 0, 0.5, 0, -0.5}, 4)));
}

/// An objective on toy data, with the images in double where the method takes them so.
struct Fixture {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::SetLayout layout;
  std::unique_ptr<Method> method;
  OptionSet options;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

  Fixture(std::unique_ptr<Method> made, const std::map<std::string, std::string>& settings,
          const std::string& net = "wideconv-w4-d2-nonorm")
      : method(std::move(made)) {
    network = nets::make_network(net, {3, 8, 8, 3});
    layout = {{2, 1, 3}, 3, 8, 8};
    method->declare(options);
    Problems problems;
    for (const auto& [name, text] : settings) options.set(name, text, "test", problems);
    problems.raise("test");
    objective = method->objective({data, *network, layout, "none", 5, at::Device(at::kCPU)});
    view.offsets = layout.offsets();
    view.labels = layout.labels();
    view.images = normals({layout.size(), 3, 8, 8}, "images").to(at::kFloat);
    objective->begin(0, view);
  }
  Cotangents at(const at::Tensor& images) {
    SyntheticSet moved = view;
    moved.images = images;
    return objective->evaluate(moved, 0);
  }
  /// The learned labels themselves.
  at::Tensor labels() { return objective->learned().at(0).value; }

  void expect_derivatives(double step, double tolerance) {
    const Cotangents base = at(view.images);
    const at::Tensor v = normals(view.images.sizes().vec(), "v").to(view.images.scalar_type());
    const auto by_images = [&](const at::Tensor& x) { return at(x).loss; };
    const double expected = (base.images * v).sum().item<double>();
    EXPECT_NEAR(slope(by_images, view.images, v, step), expected, tolerance * std::abs(expected));
    if (base.learned.empty()) return;
    const at::Tensor start = labels().clone(), w = normals({start.size(0), start.size(1)}, "w");
    const auto by_labels = [&](const at::Tensor& y) {
      labels().copy_(y);
      return at(view.images).loss;
    };
    const double wanted = (base.learned[0] * w).sum().item<double>();
    EXPECT_NEAR(slope(by_labels, start, w.to(start.scalar_type()), 1e-2), wanted,
                1e-3 * std::abs(wanted));
    labels().copy_(start);
  }
};

TEST(Kip, CotangentsAreTheDerivativeOfTheLoss) {
  for (const char* labels : {"fixed", "learned", "solved"}) {
    SCOPED_TRACE(labels);
    Fixture f(make_kip(),
              {{"real_batch", "24"}, {"kernel_labels", labels}, {"regularisation", "0.01"}});
    f.view.images = f.view.images.to(at::kDouble);
    f.expect_derivatives(1e-3, 1e-6);
  }
}

TEST(Kip, SolvedLabelsAreTheBest) {
  Fixture fixed(make_kip(), {{"real_batch", "24"}});
  Fixture solved(make_kip(), {{"real_batch", "24"}, {"kernel_labels", "solved"}});
  EXPECT_LT(solved.at(solved.view.images).loss, fixed.at(fixed.view.images).loss);
  synthetic::Bundle bundle;
  bundle.images = solved.view.images;
  solved.objective->complete(bundle);
  EXPECT_EQ(bundle.soft_labels.sizes(), at::IntArrayRef({6, 3}));
}

TEST(Frepo, CotangentsAreTheDerivativeOfTheLoss) {
  for (const char* flip : {"yes", "no"}) {
    SCOPED_TRACE(flip);
    Fixture f(make_frepo(), {{"real_batch", "24"}, {"flip", flip}, {"regularisation", "0.1"}},
              "convnet-w4-d2-tanh-nonorm");
    f.expect_derivatives(1e-2, 1e-3);
  }
}

TEST(Frepo, LessMemoryGivesTheSameDerivatives) {
  Fixture whole(make_frepo(), {{"real_batch", "24"}}), parts(make_frepo(), {{"real_batch", "24"}});
  for (int64_t bytes = 1 << 24; parts.network->rows_at_once(12) > 5; bytes -= 1 << 10)
    parts.network->limit_memory(bytes);
  const Cotangents a = whole.at(whole.view.images), b = parts.at(parts.view.images);
  EXPECT_NEAR(a.loss, b.loss, 1e-6 * std::abs(a.loss));
  EXPECT_TRUE(at::allclose(a.images, b.images, 1e-3, 1e-6));
}

// Of a pool of one, with labels as they start: trained for steps 1 to 3, then made anew.
TEST(Frepo, TrainsAPoolThatIsMadeAnewWhenOld) {
  Fixture f(make_frepo(),
            {{"real_batch", "24"}, {"pool_size", "1"}, {"pool_steps", "2"}, {"flip", "no"}});
  std::vector<at::Tensor> seen;
  std::vector<int64_t> ages;
  for (int64_t i = 0; i < 5; ++i) {
    f.objective->begin(i, f.view);
    f.at(f.view.images);
    seen.push_back(f.objective->state().at("theta.0").clone());
    ages.push_back(f.objective->state().at("counts")[0].item<int64_t>());
  }
  EXPECT_EQ(ages, (std::vector<int64_t>{0, 1, 2, 3, 0}));
  EXPECT_NEAR((seen[1] - seen[0]).abs().max().item<double>(), 3e-4, 3e-6);  // Adam's first step
  EXPECT_GT((seen[4] - seen[3]).abs().max().item<double>(), 0.05);
}

TEST(Frepo, ThePoolBeginsAtDifferentAges) {
  const Fixture f(make_frepo(), {});
  const at::Tensor ages = f.objective->state().at("counts").view({10, 2}).select(1, 0);
  EXPECT_TRUE(ages.equal(at::arange(0, 100, 10)));
}

TEST(Frepo, LabelsStartCentredAndScaledByTheClasses) {
  Fixture f(make_frepo(), {});
  const at::Tensor wanted = losses::centred_one_hot(f.view.labels, 3) / std::sqrt(0.3);
  EXPECT_TRUE(at::allclose(f.labels(), wanted, 1e-6, 0));
}

}  // namespace
}  // namespace retort::methods
