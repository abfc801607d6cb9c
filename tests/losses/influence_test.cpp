// Influence means against autograd and by hand, gaps along directions against their samples.
#include "losses/influence.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "retort/core/random.h"

namespace retort::losses {
namespace {

at::Tensor normals(at::IntArrayRef sizes, uint64_t seed) {
  const at::Tensor values = at::empty(sizes, at::kFloat);
  RandomStream(seed, "test").fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

/// Of f, which takes a tensor and gives a number, along v.
template <typename F>
double slope(const F& f, const at::Tensor& x, const at::Tensor& v) {
  const double e = 1e-6;
  return (f(x + e * v) - f(x - e * v)) / (2 * e);
}

// Even odds of two classes: g = (-1/2, 1/2), rows (0.9, 1.1) of norm sqrt(2.02), features (3, 4) of
// norm 5.
TEST(InfluenceMean, OfOneSampleByHand) {
  const at::Tensor e = at::tensor({3.0, 4.0}, at::kDouble).view({1, 2});
  const at::Tensor found = InfluenceMean(e, at::zeros({1, 2}, at::kDouble), 0, 0.2).value();
  const at::Tensor expected =
      at::tensor({0.9 * 0.6, 0.9 * 0.8, 1.1 * 0.6, 1.1 * 0.8}, at::kDouble).view({2, 2}) /
      std::sqrt(2.02);
  EXPECT_TRUE(at::allclose(found, expected, 1e-14, 1e-15));
}

// g (x) e is what autograd says of the last layer.
TEST(InfluenceMean, FusesFeaturesWithTheGradientOfTheLastLayer) {
  const at::Tensor e = normals({5, 3}, 1), layer = normals({4, 3}, 2);
  const at::Tensor found = InfluenceMean(e, e.mm(layer.t()), 2, 0.3).value();
  at::Tensor expected = at::zeros({4, 3}, at::kDouble);
  for (int64_t i = 0; i < 5; ++i) {
    const at::Tensor w = layer.clone().requires_grad_(true);
    const at::Tensor loss = -at::log_softmax(w.mv(e[i]), 0)[2];
    const at::Tensor gradient = torch::autograd::grad({loss}, {w})[0];
    const at::Tensor fused = e[i].expand({4, 3}) + 0.3 * gradient;
    expected += fused / fused.norm() / 5;
  }
  EXPECT_TRUE(at::allclose(found, expected, 1e-12, 1e-14));
}

TEST(InfluenceMean, PullbackIsTheDerivative) {
  const at::Tensor e = normals({5, 3}, 1), z = normals({5, 4}, 2), d = normals({4, 3}, 3);
  const auto found = InfluenceMean(e, z, 1, 0.7).pullback(d);
  const at::Tensor v = normals({5, 3}, 4), u = normals({5, 4}, 5);
  const auto along = [&](const at::Tensor& features, const at::Tensor& logits) {
    return (InfluenceMean(features, logits, 1, 0.7).value() * d).sum().item<double>();
  };
  EXPECT_NEAR(slope([&](const at::Tensor& x) { return along(x, z); }, e, v),
              (found.features * v).sum().item<double>(), 1e-8);
  EXPECT_NEAR(slope([&](const at::Tensor& x) { return along(e, x); }, z, u),
              (found.logits * u).sum().item<double>(), 1e-8);
}

// Along the first axis 3 and 1: 4 / 10. Along the second 1 and -1: 4 / 2. A direction's length does
// not matter.
TEST(GapAlong, OfTwoAxesByHand) {
  const at::Tensor real = at::tensor({3.0, 1.0}, at::kDouble);
  const at::Tensor synthetic = at::tensor({1.0, -1.0}, at::kDouble);
  const at::Tensor axes = at::tensor({5.0, 0.0, 0.0, 0.1}, at::kDouble).view({2, 2});
  EXPECT_NEAR(gap_along(real, synthetic, axes).value.item<double>(), (0.4 + 2) / 2, 1e-8);
}

TEST(GapAlongAll, OfEqualOrthogonalAndOppositeVectors) {
  const at::Tensor x = at::tensor({3.0, 4.0}, at::kDouble),
                   y = at::tensor({-4.0, 3.0}, at::kDouble);
  EXPECT_NEAR(gap_along_all(x, x).value.item<double>(), 0, 1e-15);
  EXPECT_NEAR(gap_along_all(x, y).value.item<double>(), 1, 1e-15);
  EXPECT_NEAR(gap_along_all(x, -x).value.item<double>(), 2, 1e-15);
  // p = r = 2, q = 1: 1 - 2 / (4 + 2 sqrt(3)) = 1 - (2 - sqrt(3)).
  const at::Tensor a = at::tensor({1.0, 1.0, 0.0}, at::kDouble),
                   b = at::tensor({0.0, 1.0, 1.0}, at::kDouble);
  EXPECT_NEAR(gap_along_all(a, b).value.item<double>(), std::sqrt(3) - 1, 1e-15);
  EXPECT_TRUE(at::isfinite(gap_along_all(x, x).synthetic).all().item<bool>());
}

TEST(GapAlongAll, IsWhatManyDirectionsComeTo) {
  const at::Tensor x = normals({6}, 1), y = normals({6}, 2) + x, t = normals({400000, 6}, 3);
  const VectorGap all = gap_along_all(x, y), some = gap_along(x, y, t);
  EXPECT_NEAR(some.value.item<double>(), all.value.item<double>(), 5e-3);
  EXPECT_TRUE(at::allclose(some.synthetic, all.synthetic, 0, 5e-3))
      << some.synthetic << all.synthetic;
}

TEST(GapAlongAll, SlopesAreDerivatives) {
  const at::Tensor x = normals({6}, 1), y = normals({6}, 2), v = normals({6}, 4);
  const at::Tensor t = normals({9, 6}, 3);
  const auto all = [&](const at::Tensor& s) { return gap_along_all(x, s).value.item<double>(); };
  const auto some = [&](const at::Tensor& s) { return gap_along(x, s, t).value.item<double>(); };
  EXPECT_NEAR(slope(all, y, v), gap_along_all(x, y).synthetic.dot(v).item<double>(), 1e-8);
  EXPECT_NEAR(slope(some, y, v), gap_along(x, y, t).synthetic.dot(v).item<double>(), 1e-7);
}

}  // namespace
}  // namespace retort::losses
