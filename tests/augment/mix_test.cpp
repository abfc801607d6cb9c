#include "retort/augment/mix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::augment {
namespace {

at::Tensor rows() {
  return at::arange(4, at::kFloat).view({4, 1, 1, 1}).expand({4, 2, 8, 8}).contiguous();
}

TEST(Mix, RefusesUnknownWords) {
  tests::expect_error<ConfigError>([] { parse_mix("cutmixx"); }, {"cutmixx", "cutmix", "mixup"});
}

TEST(Mix, NoneGivesTheSameImagesAndTargets) {
  RandomStream stream(1, "test");
  const Mix mix = draw_mix(Mix::Kind::kNone, 1, 4, 8, 8, stream);
  EXPECT_TRUE(mix_images(rows(), mix).equal(rows()));
  EXPECT_TRUE(mix_targets(at::eye(4), mix).equal(at::eye(4)));
}

TEST(Mix, AddedImagesAndTargetsKeepTheirShare) {
  RandomStream stream(1, "test");
  const Mix mix = draw_mix(Mix::Kind::kAdd, 0.8, 4, 8, 8, stream);
  const at::Tensor mixed = mix_images(rows(), mix), targets = mix_targets(at::eye(4), mix);
  for (int64_t i = 0; i < 4; ++i) {
    const auto other = static_cast<double>(mix.partners[i]);
    EXPECT_NEAR(mixed[i][0][0][0].item<double>(),
                mix.own * static_cast<double>(i) + (1 - mix.own) * other, 1e-6);
    EXPECT_NEAR(targets[i].sum().item<double>(), 1, 1e-6);
  }
}

TEST(Mix, ABoxComesFromThePartnerAndTheTargetsSayHowLargeItIs) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    RandomStream stream(seed, "test");
    const Mix mix = draw_mix(Mix::Kind::kCut, 1, 4, 8, 8, stream);
    const at::Tensor images = rows(), mixed = mix_images(images, mix);
    EXPECT_TRUE(images.equal(rows()));  // what was given is not changed
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t partner = mix.partners[i];
      const double own = mixed[i][0].eq(i).to(at::kDouble).mean().item<double>();
      EXPECT_NEAR(own, partner == i ? 1 : mix.own, 1e-12);
    }
  }
}

TEST(Mix, SharesOfAddedImagesAreSymmetricAboutAHalf) {
  double sum = 0, extreme = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    RandomStream stream(seed, "test");
    const double own = draw_mix(Mix::Kind::kAdd, 0.8, 2, 8, 8, stream).own;
    sum += own;
    extreme += (own - 0.5) * (own - 0.5);
  }
  EXPECT_NEAR(sum / 4000, 0.5, 0.02);
  EXPECT_NEAR(extreme / 4000, 1 / (4 * (2 * 0.8 + 1)), 0.005);  // Beta(a, a): 1 / (4 (2 a + 1))
}

}  // namespace
}  // namespace retort::augment
