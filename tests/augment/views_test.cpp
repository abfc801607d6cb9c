// Views of contrastive learning: colours by hand, ranges, and draws by stream.
#include "retort/augment/views.h"

#include <gtest/gtest.h>

namespace retort::augment {
namespace {

at::Tensor pixels(int64_t channels = 3, int64_t side = 16) {
  at::Tensor values = at::empty({6, channels, side, side});
  Stream(0, "test.pixels").fill_uniform(values.data_ptr<float>(), values.numel(), 0, 1);
  return values;
}

TEST(TurnHue, TakesRedToGreenInAThirdOfATurn) {
  const at::Tensor red = at::tensor({0.8f, 0.2f, 0.2f}).view({1, 3, 1, 1});
  const at::Tensor green = at::tensor({0.2f, 0.8f, 0.2f}).view({1, 3, 1, 1});
  EXPECT_TRUE(at::allclose(turn_hue(red, at::tensor({1.0f / 3})), green, 0, 1e-6));
  EXPECT_TRUE(at::allclose(turn_hue(red, at::tensor({-2.0f / 3})), green, 0, 1e-6));
}

TEST(TurnHue, LeavesPixelsAloneAtNoTurnAndGreyAtAny) {
  const at::Tensor x = pixels();
  EXPECT_TRUE(at::allclose(turn_hue(x, at::zeros({6})), x, 0, 1e-6));
  const at::Tensor grey = at::full({1, 3, 2, 2}, 0.5f);
  EXPECT_TRUE(at::allclose(turn_hue(grey, at::tensor({0.3f})), grey, 0, 1e-6));
}

TEST(RandomViews, StayPixelsAndFollowTheStream) {
  const at::Tensor x = pixels();
  Stream one(1, "test.views"), same(1, "test.views"), other(2, "test.views");
  const at::Tensor view = random_views(x, {}, one);
  EXPECT_GE(view.min().item<float>(), -1e-6);
  EXPECT_LE(view.max().item<float>(), 1 + 1e-6);
  EXPECT_TRUE(at::equal(view, random_views(x, {}, same)));
  EXPECT_FALSE(at::equal(view, random_views(x, {}, other)));
}

TEST(RandomViews, WithNothingToDoAreTheImages) {
  const ViewOptions nothing{.lowest_area = 1, .jitter = 0, .grey = 0, .blur = 0, .flip = 0};
  const at::Tensor x = at::ones({4, 3, 8, 8}) * 0.25;  // a window of aspect other than 1 stays flat
  Stream stream(1, "test.views");
  EXPECT_TRUE(at::allclose(random_views(x, nothing, stream), x, 0, 1e-6));
}

TEST(RandomViews, OfOneChannelAndLargeImagesWork) {
  Stream stream(1, "test.views");
  EXPECT_EQ(random_views(pixels(1), {}, stream).sizes(), at::IntArrayRef({6, 1, 16, 16}));
  const at::Tensor large = random_views(pixels(3, 96), {}, stream);
  EXPECT_TRUE(at::isfinite(large).all().item<bool>());
  EXPECT_LE(large.max().item<float>(), 1 + 1e-5);
}

}  // namespace
}  // namespace retort::augment
