// Contrastive losses against values by hand and finite differences.
#include "losses/contrast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "retort/core/random.h"

namespace retort::losses {
namespace {

at::Tensor drawn(int64_t rows, int64_t columns, uint64_t index) {
  at::Tensor values = at::empty({rows, columns});
  RandomStream(3, "test.contrast", index).fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

void expect_derivative(const at::Tensor& z,
                       const std::function<Contrast(const at::Tensor&)>& loss) {
  const at::Tensor found = loss(z).derivative;
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < z.size(0); ++i)
    for (int64_t j = 0; j < z.size(1); ++j) {
      at::Tensor up = z.clone(), down = z.clone();
      up[i][j] += kStep;
      down[i][j] -= kStep;
      const double slope = (loss(up).loss - loss(down).loss).item<double>() / (2 * kStep);
      EXPECT_NEAR(found[i][j].item<double>(), slope, 1e-8);
    }
}

TEST(InfoNce, IsTheCrossEntropyOfTellingTheKey) {
  const at::Tensor z = at::tensor({3.0, 0.0}).view({1, 2}),
                   key = at::tensor({1.0, 0.0}).view({1, 2});
  const at::Tensor queue = at::tensor({0.0, 1.0}).view({1, 2});
  // Products 1 and 0 at temperature 0.5: -log(e^2 / (e^2 + 1)).
  EXPECT_NEAR(info_nce(z, key, queue, 0.5).loss.item<double>(), std::log1p(std::exp(-2.0)), 1e-12);
}

TEST(InfoNce, HasTheDerivativeOfFiniteDifferences) {
  const at::Tensor keys = unit_rows(drawn(3, 4, 1)), queue = unit_rows(drawn(5, 4, 2));
  expect_derivative(drawn(3, 4, 0),
                    [&](const at::Tensor& z) { return info_nce(z, keys, queue, 0.2); });
}

TEST(NegativeCosine, IsMinusOneForParallelRows) {
  const at::Tensor p = drawn(2, 3, 4);
  EXPECT_NEAR(negative_cosine(p, 7 * p).loss.item<double>(), -1, 1e-12);
}

TEST(NegativeCosine, HasTheDerivativeOfFiniteDifferences) {
  const at::Tensor target = drawn(3, 4, 6);
  expect_derivative(drawn(3, 4, 5),
                    [&](const at::Tensor& p) { return negative_cosine(p, target); });
}

}  // namespace
}  // namespace retort::losses
