// Cosine coefficients: round trip, the choice of frequencies by hand, sizes.
#include "synthetic/frequency.h"

#include "retort/core/error.h"
#include "synthetic/made.h"
#include "synthetic/separable.h"

namespace retort::synthetic {
namespace {

TEST(Frequency, AllCoefficientsGiveTheImagesBack) {
  const auto all = made("frequency", {{"frequencies", "64"}}, in_double({{3, 2}, 3, 8, 8}));
  const at::Tensor images = numbers({3, 3, 8, 8});
  all->initialise(images);
  EXPECT_LT((all->decode() - images).abs().max().item<double>(), 1e-12);
}

/// 192 numbers an image: places take 24, an image 72. (192 - 24) / 72 and (576 - 24) / 72.
TEST(Frequency, AnImageMakesRoomForCoefficientsAndPlaces) {
  const auto some = made("frequency", {{"frequencies", "24"}}, {{{1, 3}, 3, 8, 8}});
  EXPECT_EQ(some->layout().counts, (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(some->compact().at("coefficients").sizes(), at::IntArrayRef({9, 3, 24}));
  EXPECT_EQ(some->compact().at("frequencies").sizes(), at::IntArrayRef({2, 24}));
  EXPECT_EQ(some->compact().at("frequencies").scalar_type(), at::kInt);
  retort::tests::expect_error<ConfigError>(
      [] {
        made("frequency", {{"frequencies", "65"}}, {{{1}, 3, 8, 8}});
      },
      {"65", "from 1 to 64"});
}

TEST(Frequency, FitsTheBytesOfOneSmallGreyImage) {
  const auto one = made("frequency", {{"frequencies", "64"}}, {{{1, 1}, 1, 16, 16}});
  size_t bytes = 0;
  for (const auto& [name, tensor] : one->compact()) bytes += tensor.nbytes();
  EXPECT_LE(bytes, 2 * 16 * 16 * sizeof(float));
  retort::tests::expect_error<ConfigError>(
      [] {
        made("frequency", {{"frequencies", "200"}}, {{{1}, 1, 16, 16}});
      },
      {"200 coefficients", "1 image", "lower --frequencies"});
}

/// Coefficients of six images of 2 x 2 in two channels, at the places 0..3 = (0,0) (0,1) (1,0)
/// (1,1); the third of each class is the mean of the others. Variances of the channel means by
/// hand, times 3/2. Class 0 (places: 1,3 -> 1; 0,0 -> 0; 2,-2 -> 4; 5,5 -> 0) keeps 0 and 2. In
/// class 1 place 3 differs in one channel as it does, negated, in the other: its mean does not
/// vary, so that equal variances leave the two lowest, 0 and 1.
TEST(Frequency, KeepsThePlacesOfLargestVariance) {
  at::Tensor wanted = at::zeros({6, 2, 4}, at::kDouble);
  wanted[0] = at::tensor({1., 0., 2., 5.}, at::kDouble).expand({2, 4});
  wanted[1] = at::tensor({3., 0., -2., 5.}, at::kDouble).expand({2, 4});
  wanted[2] = at::tensor({2., 0., 0., 5.}, at::kDouble).expand({2, 4});
  wanted[3][0][3] = 4;
  wanted[3][1][3] = -4;
  wanted[5] = (wanted[3] + wanted[4]) / 2;
  const Separable map = cosines({2, 2}, at::TensorOptions().dtype(at::kDouble));
  const auto kept = made("frequency", {{"frequencies", "2"}}, in_double({{2, 2}, 2, 2, 2}));
  kept->initialise(map.adjoint(wanted.view({6, 2, 2, 2})));
  EXPECT_TRUE(
      kept->compact().at("frequencies").equal(at::tensor({0, 2, 0, 1}, at::kInt).view({2, 2})));
  const at::Tensor back = map.apply(kept->decode()).flatten(2);
  EXPECT_NEAR(back[0][1][2].item<double>(), 2, 1e-12);
  EXPECT_NEAR(back[0][1][3].item<double>(), 0, 1e-12) << "not kept";
}

}  // namespace
}  // namespace retort::synthetic
