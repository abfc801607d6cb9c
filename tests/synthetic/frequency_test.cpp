// Cosine coefficients: round trip, the choice of frequencies by hand, sizes.
#include "synthetic/frequency.h"

#include "retort/core/error.h"
#include "synthetic/made.h"
#include "synthetic/separable.h"

namespace retort::synthetic {
namespace {

TEST(Frequency, AllCoefficientsGiveTheImagesBack) {
  const auto all = made("frequency", {{"frequencies", "64"}}, in_double({{2, 1}, 3, 8, 8}));
  const at::Tensor images = numbers({3, 3, 8, 8});
  all->initialise(images);
  EXPECT_LT((all->decode() - images).abs().max().item<double>(), 1e-12);
}

TEST(Frequency, AnImageMakesRoomForPixelsOverFrequencies) {
  const auto some = made("frequency", {{"frequencies", "24"}}, {{{1, 3}, 3, 8, 8}});
  EXPECT_EQ(some->geometry().counts, (std::vector<int64_t>{2, 8}));  // 64 / 24, 192 / 24
  EXPECT_EQ(some->stored().at("coefficients").sizes(), at::IntArrayRef({10, 3, 24}));
  EXPECT_EQ(some->stored().at("frequencies").sizes(), at::IntArrayRef({2, 24}));
  EXPECT_EQ(some->stored().at("frequencies").scalar_type(), at::kInt);
  retort::tests::expect_error<ConfigError>(
      [] {
        made("frequency", {{"frequencies", "65"}}, {{{1}, 3, 8, 8}});
      },
      {"65", "from 1 to 64"});
}

/// Coefficients of four images of 2 x 2 in two channels, at the places 0..3 = (0,0) (0,1) (1,0)
/// (1,1). Variances of the channel means by hand. Class 0 (places: 1,3 -> 1; 0,0 -> 0; 2,-2 -> 4;
/// 5,5 -> 0) keeps 0 and 2. In class 1 place 3 differs in one channel as it does, negated, in the
/// other: its mean does not vary, so that equal variances leave the two lowest, 0 and 1.
TEST(Frequency, KeepsThePlacesOfLargestVariance) {
  at::Tensor wanted = at::zeros({4, 2, 4}, at::kDouble);
  wanted[0] = at::tensor({1., 0., 2., 5.}, at::kDouble).expand({2, 4});
  wanted[1] = at::tensor({3., 0., -2., 5.}, at::kDouble).expand({2, 4});
  wanted[2][0][3] = 4;
  wanted[2][1][3] = -4;
  const Separable map = cosines({2, 2}, at::TensorOptions().dtype(at::kDouble));
  const auto kept = made("frequency", {{"frequencies", "2"}}, in_double({{1, 1}, 2, 2, 2}));
  kept->initialise(map.adjoint(wanted.view({4, 2, 2, 2})));
  EXPECT_TRUE(
      kept->stored().at("frequencies").equal(at::tensor({0, 2, 0, 1}, at::kInt).view({2, 2})));
  const at::Tensor back = map.apply(kept->decode()).flatten(2);
  EXPECT_NEAR(back[0][1][2].item<double>(), 2, 1e-12);
  EXPECT_NEAR(back[0][1][3].item<double>(), 0, 1e-12) << "not kept";
}

}  // namespace
}  // namespace retort::synthetic
