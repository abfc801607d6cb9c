// The linear maps under the decoders, against libtorch and their own inverses.
#include "synthetic/separable.h"

#include <gtest/gtest.h>

#include <torch/types.h>

namespace retort::synthetic {
namespace {

const at::TensorOptions kDouble = at::TensorOptions().dtype(at::kDouble);

at::Tensor waves(at::IntArrayRef shape) {
  return at::arange(c10::multiply_integers(shape), kDouble).mul(0.7).sin().view(shape);
}

TEST(Separable, InterpolatesAsLibtorchDoes) {
  const std::vector<std::vector<int64_t>> pairs = {{4, 8}, {5, 12}, {8, 3}, {7, 7}, {1, 3}};
  for (const auto& pair : pairs) {
    const at::Tensor images = waves({2, 3, pair[0], 6});
    const at::Tensor theirs = at::upsample_bilinear2d(images, {pair[1], 9}, false);
    const at::Tensor ours = interpolation({pair[0], 6}, {pair[1], 9}, kDouble).apply(images);
    EXPECT_LT((ours - theirs).abs().max().item<double>(), 1e-14) << pair[0] << " to " << pair[1];
  }
}

TEST(Separable, AdjointsAreAdjoint) {
  for (const Separable& map : {interpolation({3, 4}, {7, 8}, kDouble), cosines({7, 8}, kDouble)}) {
    const at::Tensor x = waves({2, 3, map.rows.size(1), map.columns.size(1)});
    const at::Tensor y = waves({2, 3, 7, 8}).cos();
    EXPECT_NEAR((map.apply(x) * y).sum().item<double>(), (x * map.adjoint(y)).sum().item<double>(),
                1e-12);
  }
}

TEST(Separable, CosinesAreOrthonormal) {
  const at::Tensor images = waves({2, 3, 32, 28});
  const Separable map = cosines({32, 28}, kDouble);
  EXPECT_LT((map.adjoint(map.apply(images)) - images).abs().max().item<double>(), 1e-12);
  // By hand: a constant image of side 2 has the coefficient 2 at (0, 0); 1, -1 along a row of a
  // 1 x 2 image has sqrt(2) at its only other frequency.
  const at::Tensor flat = cosines({2, 2}, kDouble).apply(at::ones({2, 2}, kDouble));
  EXPECT_NEAR(flat[0][0].item<double>(), 2, 1e-15);
  EXPECT_NEAR(flat.abs().sum().item<double>(), 2, 1e-15);
  const at::Tensor edge = at::tensor({1.0, -1.0}, kDouble).view({1, 2});
  EXPECT_NEAR(cosines({1, 2}, kDouble).apply(edge)[0][1].item<double>(), std::sqrt(2.0), 1e-15);
}

}  // namespace
}  // namespace retort::synthetic
