#include "losses/gradient_distance.h"

#include <gtest/gtest.h>

#include "retort/core/random.h"
#include "support/golden_tensors.h"

namespace retort::losses {
namespace {

/// A convolution [3, 2, 2, 1], its bias [3], a LayerNorm scale [2, 2, 1] and a linear weight [2,
/// 5].
std::vector<GradientSpan> spans() {
  return {gradient_span({3, 2, 2, 1}, 0), gradient_span({3}, 12), gradient_span({2, 2, 1}, 15),
          gradient_span({2, 5}, 19)};
}
constexpr int64_t kSize = 29, kRows = 3 + 2 + 2;

at::Tensor normal(uint64_t seed, std::vector<int64_t> shape = {kSize}) {
  at::Tensor x = at::empty(shape);
  RandomStream(seed, "test").fill_normal(x.data_ptr<float>(), x.numel());
  return x.to(at::kDouble);
}

double value(const at::Tensor& a, const at::Tensor& b,
             GradientMetric metric = GradientMetric::kLayerwise) {
  return gradient_distance(a, b, spans(), metric).value.item<double>();
}

TEST(GradientDistance, RowsAreTheFirstSideOfTheShape) {
  const GradientSpan filter = gradient_span({8, 3, 5, 5}, 7), bias = gradient_span({8}, 0),
                     layer = gradient_span({4, 6, 5}, 0);
  EXPECT_EQ(filter.rows, 8);
  EXPECT_EQ(filter.columns, 75);
  EXPECT_EQ(filter.offset, 7);
  EXPECT_TRUE(filter.counted);
  EXPECT_FALSE(bias.counted);
  EXPECT_EQ(layer.rows, 4);
  EXPECT_EQ(layer.columns, 30);
  EXPECT_TRUE(layer.counted);
}

// 1 - n^2 / (n^2 + 1e-6) for a row of length n.
TEST(GradientDistance, OfEqualGradientsIsWhatEpsilonLeaves) {
  const at::Tensor a = normal(1) * 0.01;
  double wanted = 0;
  for (const GradientSpan& span : spans()) {
    if (!span.counted) continue;
    const at::Tensor rows =
        a.narrow(0, span.offset, span.rows * span.columns).view({span.rows, span.columns});
    const at::Tensor square = rows.square().sum(1);
    wanted += (1 - square / (square + 1e-6)).sum().item<double>();
  }
  EXPECT_GT(wanted, 1e-3);
  EXPECT_NEAR(value(a, a), wanted, 1e-12);
}

TEST(GradientDistance, OfOrthogonalGradientsIsTheNumberOfRows) {
  at::Tensor a = at::zeros({kSize}, at::kDouble), b = at::zeros({kSize}, at::kDouble);
  for (const GradientSpan& span : spans())
    for (int64_t r = 0; r < span.rows; ++r) {
      a[span.offset + r * span.columns] = 1.0 + static_cast<double>(r);
      b[span.offset + (r + 1) * span.columns - 1] = 2.0;
    }
  a.narrow(0, 12, 3).fill_(1);  // the bias
  EXPECT_NEAR(value(a, b), kRows, 1e-12);
}

TEST(GradientDistance, IgnoresOneDimensionalTensors) {
  const at::Tensor a = normal(1), b = normal(2);
  at::Tensor moved = a.clone();
  moved.narrow(0, 12, 3).add_(5);
  EXPECT_EQ(value(moved, b), value(a, b));
  EXPECT_EQ(gradient_distance(a, b, spans(), GradientMetric::kLayerwise)
                .derivative.narrow(0, 12, 3)
                .abs()
                .sum()
                .item<double>(),
            0);
  EXPECT_NE(value(moved, b, GradientMetric::kSquared), value(a, b, GradientMetric::kSquared));
  EXPECT_NE(value(moved, b, GradientMetric::kCosine), value(a, b, GradientMetric::kCosine));
}

TEST(GradientDistance, DoesNotDependOnTheLengths) {
  const at::Tensor a = normal(1), b = normal(2);
  EXPECT_NEAR(value(a * 7, b * 0.5), value(a, b), 1e-5);
  EXPECT_NEAR(value(a * 7, b * 0.5, GradientMetric::kCosine), value(a, b, GradientMetric::kCosine),
              1e-6);
}

TEST(GradientDistance, DerivativeIsThatOfFiniteDifferences) {
  for (const GradientMetric metric :
       {GradientMetric::kLayerwise, GradientMetric::kSquared, GradientMetric::kCosine}) {
    for (const double size : {1.0, 1e-3}) {  // at 1e-3 epsilon has its say
      const at::Tensor a = normal(1) * size, b = normal(2) * size, direction = normal(3);
      const at::Tensor derivative = gradient_distance(a, b, spans(), metric).derivative;
      const double step = 1e-6 * size;
      const double up = value(a + step * direction, b, metric),
                   down = value(a - step * direction, b, metric);
      const double wanted = (derivative * direction).sum().item<double>();
      EXPECT_NEAR((up - down) / (2 * step), wanted, 1e-6 * std::abs(wanted));
    }
  }
}

// The authors' match_loss: tests/golden/README.md.
TEST(GradientDistance, IsTheAuthors) {
  const std::pair<const char*, GradientMetric> metrics[] = {{"ours", GradientMetric::kLayerwise},
                                                            {"mse", GradientMetric::kSquared},
                                                            {"cos", GradientMetric::kCosine}};
  for (const double size : {1.0, 1e-3}) {
    tests::Golden golden(size == 1 ? "gradient_distance" : "gradient_distance_of_small");
    const at::Tensor a = tests::hashed({kSize}, 1) * size, b = tests::hashed({kSize}, 2) * size;
    golden.input("a", a);
    golden.input("b", b);
    for (const auto& [name, metric] : metrics) {
      const GradientDistance found = gradient_distance(a, b, spans(), metric);
      golden.answer(std::string("value_") + name, found.value, 1e-10);
      golden.answer(std::string("derivative_") + name, found.derivative, 1e-9);
    }
  }
}

TEST(GradientDistance, RowsOfZerosAreFinite) {
  const at::Tensor a = normal(1), b = normal(2);
  for (const GradientSpan& span : spans()) {
    a.narrow(0, span.offset, span.columns).zero_();
    b.narrow(0, span.offset, span.columns).zero_();
  }
  const GradientDistance found = gradient_distance(a, b, spans(), GradientMetric::kLayerwise);
  EXPECT_TRUE(at::isfinite(found.derivative).all().item<bool>());
  const GradientDistance nothing =
      gradient_distance(at::zeros_like(a), at::zeros_like(b), spans(), GradientMetric::kLayerwise);
  EXPECT_EQ(nothing.value.item<double>(), kRows);
  EXPECT_EQ(nothing.derivative.abs().sum().item<double>(), 0);
}

TEST(GradientDistance, PairsSideBySideAreWhatTheyAreAlone) {
  const at::Tensor a = normal(1, {3, kSize}), b = normal(2, {3, kSize});
  for (const GradientMetric metric :
       {GradientMetric::kLayerwise, GradientMetric::kSquared, GradientMetric::kCosine}) {
    const GradientDistance all = gradient_distance(a, b, spans(), metric);
    for (int64_t g = 0; g < 3; ++g) {
      const GradientDistance one = gradient_distance(a[g], b[g], spans(), metric);
      EXPECT_TRUE(at::allclose(all.value[g], one.value));
      EXPECT_TRUE(at::allclose(all.derivative[g], one.derivative));
    }
  }
}

TEST(GradientDistance, RefusesGradientsOfDifferentShapes) {
  EXPECT_THROW(value(normal(1), normal(1, {2, kSize})), c10::Error);
}

}  // namespace
}  // namespace retort::losses
