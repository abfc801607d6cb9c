// Characteristic functions of known distributions in closed form, and derivatives by differences.
#include "losses/characteristic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "retort/core/random.h"

namespace retort::losses {
namespace {

at::Tensor normals(int64_t rows, int64_t columns, uint64_t seed) {
  const at::Tensor values = at::empty({rows, columns}, at::kFloat);
  RandomStream(seed, "test").fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

double value(const at::Tensor& real, const at::Tensor& synthetic, const at::Tensor& t, double w) {
  return characteristic_discrepancy(real, synthetic, t, w, false).value.item<double>();
}

at::Tensor column(std::vector<double> values) {
  return at::tensor(values, at::kDouble).unsqueeze(1);
}

// phi(t) = cos t of the signs -1 and 1, and exp(2 i t) of a point at 2. At t = pi / 3: 1/2 and
// exp(2 i pi / 3) = -1/2 + i sqrt(3) / 2. So |r - s|^2 = 1 + 3/4; the amplitudes differ by 1/2.
TEST(CharacteristicDiscrepancy, OfTwoSignsAndAPoint) {
  const at::Tensor signs = column({-1, 1}), point = column({2}), t = column({M_PI / 3});
  EXPECT_NEAR(value(signs, point, t, 0.5), std::sqrt(1.75 / 2), 1e-14);
  EXPECT_NEAR(value(signs, point, t, 1), 0.5, 1e-14);
  // 2 (1/2 - Re(1/2 (-1/2 - i sqrt(3) / 2))) = 2 (1/2 + 1/4)
  EXPECT_NEAR(value(signs, point, t, 0), std::sqrt(1.5), 1e-14);
  // A fourth of the one and three fourths of the other.
  EXPECT_NEAR(value(signs, point, t, 0.25), std::sqrt(0.25 * 0.25 + 0.75 * 1.5), 1e-14);
}

// A normal at m of deviation s has phi(t) = exp(i m t - s^2 t^2 / 2).
TEST(CharacteristicDiscrepancy, OfNormalsComesToTheirClosedForm) {
  const int64_t n = 400000;
  const at::Tensor x = normals(n, 1, 1), y = normals(n, 1, 2) * 0.5 + 0.7;
  for (const double t : {0.3, 1.0, 2.0}) {
    const double r = std::exp(-t * t / 2), s = std::exp(-t * t / 8);
    const double phase = 2 * r * s * (1 - std::cos(0.7 * t));
    EXPECT_NEAR(value(x, y, column({t}), 1), std::abs(r - s), 4e-3) << t;
    EXPECT_NEAR(value(x, y, column({t}), 0), std::sqrt(phase), 4e-3) << t;
  }
}

// Features evenly from 0 to 1 have |phi(t)| = |sin(t / 2) / (t / 2)|.
TEST(CharacteristicDiscrepancy, OfAUniformComesToTheSinc) {
  const int64_t n = 20000;
  const at::Tensor even = ((at::arange(n, at::kDouble) + 0.5) / n).unsqueeze(1);
  for (const double t : {0.5, 3.0, 9.0}) {
    const double r = std::abs(std::sin(t / 2) / (t / 2));
    EXPECT_NEAR(value(even, column({0}), column({t}), 1), 1 - r, 1e-7) << t;
  }
}

TEST(CharacteristicDiscrepancy, IsTheMeanOverFrequencies) {
  const at::Tensor x = normals(5, 3, 1), y = normals(4, 3, 2), t = normals(2, 3, 3);
  const double mean = (value(x, y, t.slice(0, 0, 1), 0.3) + value(x, y, t.slice(0, 1, 2), 0.3)) / 2;
  EXPECT_NEAR(value(x, y, t, 0.3), mean, 1e-15);
}

TEST(CharacteristicDiscrepancy, IsNextToNothingForTheSameSampleInAnotherOrder) {
  const at::Tensor x = normals(6, 3, 1);
  const auto found = characteristic_discrepancy(x, x.flip(0), normals(40, 3, 2), 0.5, true);
  EXPECT_NEAR(found.value.item<double>(), 1e-6, 1e-12);  // the root of the floor
  EXPECT_EQ(found.synthetic.abs().max().item<double>(), 0);
  EXPECT_EQ(found.frequencies.abs().max().item<double>(), 0);
}

TEST(CharacteristicDiscrepancy, DerivativesAreThoseOfDifferences) {
  const at::Tensor x = normals(7, 4, 1), y = normals(5, 4, 2), t = normals(9, 4, 3);
  const at::Tensor v = normals(5, 4, 4), u = normals(9, 4, 5);
  const double e = 1e-6;
  for (const double w : {0.0, 0.3, 0.5, 1.0}) {
    const auto found = characteristic_discrepancy(x, y, t, w, true);
    const double by_rows = (value(x, y + e * v, t, w) - value(x, y - e * v, t, w)) / (2 * e);
    const double by_t = (value(x, y, t + e * u, w) - value(x, y, t - e * u, w)) / (2 * e);
    EXPECT_NEAR((found.synthetic * v).sum().item<double>(), by_rows, 1e-8) << w;
    EXPECT_NEAR((found.frequencies * u).sum().item<double>(), by_t, 1e-8) << w;
  }
}

}  // namespace
}  // namespace retort::losses
