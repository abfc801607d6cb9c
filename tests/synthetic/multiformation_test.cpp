// Mosaics: their order, padding, range.
#include "synthetic/multiformation.h"

#include "retort/core/error.h"
#include "synthetic/made.h"

namespace retort::synthetic {
namespace {

TEST(Multiformation, CutsAMosaicRowByRow) {
  const auto mosaics = made("multiformation", {{"factor", "2"}}, in_double({{1, 1}, 1, 2, 2}));
  EXPECT_EQ(mosaics->layout().counts, (std::vector<int64_t>{4, 4}));
  mosaics->compact().at("mosaics").copy_(at::arange(8).view({2, 1, 2, 2}));
  const at::Tensor images = mosaics->decode();
  for (int64_t i = 0; i < 8; ++i)
    EXPECT_TRUE(images[i].equal(at::full({1, 2, 2}, i, at::kDouble))) << i;
}

TEST(Multiformation, StartsWithAnotherImageInEveryCell) {
  const auto mosaics = made("multiformation", {{"factor", "2"}}, in_double({{1}, 1, 4, 4}));
  at::Tensor images = at::zeros({4, 1, 4, 4}, at::kDouble);
  for (int64_t i = 0; i < 4; ++i) images[i].fill_(i + 1);
  images[0][0][0][0] = 5;  // the mean of its four pixels is 2
  mosaics->initialise(images);
  const at::Tensor stored = mosaics->compact().at("mosaics")[0][0];
  EXPECT_TRUE(stored.equal(
      at::tensor({2., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.}, at::kDouble)
          .view({4, 4})));
}

TEST(Multiformation, PadsRightAndBelowWithGrey) {
  ParametrisationInput input = in_double({{1}, 1, 5, 5});
  input.lowest = at::full({1, 1, 1, 1}, -1.0, at::kDouble);
  input.highest = at::full({1, 1, 1, 1}, 2.0, at::kDouble);
  const auto mosaics = made("multiformation", {{"factor", "2"}}, input);
  mosaics->compact().at("mosaics").fill_(1);
  const at::Tensor images = mosaics->decode();
  EXPECT_LT((images[0] - 1).abs().max().item<double>(), 1e-15);
  EXPECT_NEAR(images[3][0][0][0].item<double>(), 1, 1e-15);
  EXPECT_NEAR(images[3][0][4][4].item<double>(), 0.5, 1e-15);
}

TEST(Multiformation, StaysWithinThePixelsOfTheSpace) {
  ParametrisationInput input{{{1}, 2, 4, 4}};
  input.lowest = at::tensor({-1.f, -2.f}).view({1, 2, 1, 1});
  input.highest = at::tensor({1.f, 3.f}).view({1, 2, 1, 1});
  const auto mosaics = made("multiformation", {}, input);
  mosaics->initialise(at::full({4, 2, 4, 4}, 9.f));
  EXPECT_EQ(mosaics->decode().amax().item<float>(), 3);
  mosaics->compact().at("mosaics").fill_(-9);
  mosaics->project();
  EXPECT_TRUE(mosaics->compact().at("mosaics")[0][0].equal(at::full({4, 4}, -1.f)));
}

TEST(Multiformation, MovesAMosaicAsFarAsItsPicture) {
  const auto mosaics = made("multiformation", {{"factor", "2"}}, in_double({{1}, 1, 8, 8}));
  ParameterGroup group = mosaics->parameters()[0];
  group.value.add_(mosaics->pullback(at::ones({4, 1, 8, 8}, at::kDouble))[0], group.rate_factor);
  EXPECT_NEAR(mosaics->decode().mean().item<double>(), 1, 1e-12);
}

TEST(Multiformation, RefusesMoreCellsThanThereAreRows) {
  retort::tests::expect_error<ConfigError>(
      [] {
        made("multiformation", {{"factor", "9"}}, {{{1}, 3, 8, 8}});
      },
      {"9 times 9", "--factor"});
  retort::tests::expect_error<ConfigError>(
      [] {
        made("multiformation", {{"factor", "2147483647"}}, {{{1}, 3, 8, 8}});
      },
      {"2147483647", "--factor"});
  EXPECT_EQ(made("multiformation", {{"factor", "1"}}, {{{2}, 3, 8, 8}})->layout().size(), 2);
}

}  // namespace
}  // namespace retort::synthetic
