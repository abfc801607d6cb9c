// Views of contrastive learning: colours by hand, ranges, and draws by stream.
#include "augment/moco_views.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace retort::augment {
namespace {

at::Tensor pixels(int64_t channels = 3, int64_t side = 16) {
  at::Tensor values = at::empty({6, channels, side, side});
  RandomStream(0, "test.pixels").fill_uniform(values.data_ptr<float>(), values.numel(), 0, 1);
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
  RandomStream one(1, "test.views"), same(1, "test.views"), other(2, "test.views");
  const at::Tensor view = moco_views(x, {}, one);
  EXPECT_GE(view.min().item<float>(), -1e-6);
  EXPECT_LE(view.max().item<float>(), 1 + 1e-6);
  EXPECT_TRUE(at::equal(view, moco_views(x, {}, same)));
  EXPECT_FALSE(at::equal(view, moco_views(x, {}, other)));
}

TEST(RandomViews, WithNothingToDoAreTheImages) {
  const MocoViewOptions nothing{.lowest_area = 1, .jitter = 0, .grey = 0, .blur = 0, .flip = 0};
  const at::Tensor x = at::ones({4, 3, 8, 8}) * 0.25;  // a window of aspect other than 1 stays flat
  RandomStream stream(1, "test.views");
  EXPECT_TRUE(at::allclose(moco_views(x, nothing, stream), x, 0, 1e-6));
}

TEST(RandomViews, OfOneChannelAndLargeImagesWork) {
  RandomStream stream(1, "test.views");
  EXPECT_EQ(moco_views(pixels(1), {}, stream).sizes(), at::IntArrayRef({6, 1, 16, 16}));
  const at::Tensor large = moco_views(pixels(3, 96), {}, stream);
  EXPECT_TRUE(at::isfinite(large).all().item<bool>());
  EXPECT_LE(large.max().item<float>(), 1 + 1e-5);
}

/// Nothing is done but what a test turns on.
MocoViewOptions nothing() {
  return {.lowest_area = 1,
          .jitter = 0,
          .brightness = 0,
          .contrast = 0,
          .saturation = 0,
          .hue = 0,
          .grey = 0,
          .blur = 0,
          .flip = 0};
}

at::Tensor seen(const at::Tensor& x, const MocoViewOptions& options, uint64_t seed = 1) {
  RandomStream stream(seed, "test.views");
  return moco_views(x, options, stream);
}

TEST(RandomViews, FlipAsOftenAsAsked) {
  MocoViewOptions options = nothing();
  options.flip = 1;
  EXPECT_TRUE(at::allclose(seen(pixels(), options), pixels().flip({3}), 0, 1e-6));
  options.flip = 0.5;
  const at::Tensor row = at::arange(8, at::kFloat).view({1, 1, 1, 8}) / 8;
  const at::Tensor many = seen(row.expand({400, 3, 8, 8}).contiguous(), options);
  const auto flipped = many.select(1, 0).select(1, 0).select(1, 0).gt(0.5).sum().item<int64_t>();
  EXPECT_NEAR(flipped, 200, 50);  // five deviations
}

TEST(RandomViews, ShowWindowsOfAtLeastTheAskedArea) {
  // Of a ramp the slope of a view is its window's share of the side.
  MocoViewOptions options = nothing();
  options.lowest_area = 0.2;
  const at::Tensor ramp = at::arange(32, at::kFloat).view({1, 1, 1, 32}) / 32;
  const at::Tensor views = seen(ramp.expand({500, 3, 32, 32}).contiguous(), options);
  const at::Tensor middle = views.select(1, 0).select(1, 16);
  const at::Tensor share = (middle.select(1, 17) - middle.select(1, 16)) * 32;
  // RandomResizedCrop((0.2, 1)): sides of the root of 0.2 * 3/4 to 1.
  EXPECT_GE(share.min().item<double>(), std::sqrt(0.2 * 0.75) - 0.02);
  EXPECT_LT(share.min().item<double>(), 0.5);
  EXPECT_GT(share.max().item<double>(), 0.95);
}

TEST(RandomViews, ScaleTheBrightnessOfAWholeImage) {
  MocoViewOptions options = nothing();
  options.jitter = 1;
  options.brightness = 0.4;
  const at::Tensor dim = pixels() * 0.5 + 0.1;  // no clamping
  const at::Tensor factor = (seen(dim, options) / dim).flatten(1);
  EXPECT_LT((factor.amax(1) - factor.amin(1)).max().item<double>(), 1e-4);
  EXPECT_GE(factor.min().item<double>(), 0.6);
  EXPECT_LE(factor.max().item<double>(), 1.4001);
  EXPECT_GT(factor.max().item<double>() - factor.min().item<double>(), 0.1);
}

TEST(RandomViews, StretchContrastAboutTheMeanLuma) {
  MocoViewOptions options = nothing();
  options.jitter = 1;
  options.contrast = 0.4;
  const at::Tensor x = pixels() * 0.2 + 0.4;
  const at::Tensor weights = at::tensor({0.299f, 0.587f, 0.114f}).view({1, 3, 1, 1});
  const at::Tensor mean = (x * weights).sum(1, true).mean({2, 3}, true);
  const at::Tensor far = (x - mean).abs() > 0.02;
  const at::Tensor factor = (seen(x, options) - mean) / (x - mean);
  for (int64_t i = 0; i < 6; ++i) {
    const at::Tensor all = factor[i].masked_select(far[i]);
    EXPECT_LT((all.max() - all.min()).item<double>(), 1e-3);
    EXPECT_GE(all.min().item<double>(), 0.599);
    EXPECT_LE(all.max().item<double>(), 1.401);
  }
}

TEST(RandomViews, TurnGreyAndJitterAsOftenAsAsked) {
  MocoViewOptions options = nothing();
  options.grey = 1;
  const at::Tensor x = pixels();
  const at::Tensor luma = 0.299 * x.select(1, 0) + 0.587 * x.select(1, 1) + 0.114 * x.select(1, 2);
  EXPECT_TRUE(at::allclose(seen(x, options), luma.unsqueeze(1).expand_as(x), 0, 1e-6));
  options.grey = 0.2;
  options.jitter = 0;
  const at::Tensor colour = at::tensor({0.8f, 0.2f, 0.4f}).view({1, 3, 1, 1});
  const at::Tensor many = colour.expand({500, 3, 2, 2}).contiguous();
  const auto changed = [&] {
    return (seen(many, options) - many).abs().amax({1, 2, 3}).gt(1e-4).sum().item<int64_t>();
  };
  EXPECT_NEAR(changed(), 100, 45);  // five deviations
  options.grey = 0;
  options.jitter = 0.8;
  options.brightness = 0.4;
  EXPECT_NEAR(changed(), 400, 45);
}

TEST(RandomViews, BlurWithAGaussian) {
  MocoViewOptions options = nothing();
  options.blur = 1;
  at::Tensor dot = at::zeros({8, 3, 97, 97});
  dot.select(2, 48).select(2, 48).fill_(1);
  const at::Tensor view = seen(dot, options);
  double widest = 0;
  for (int64_t i = 0; i < 8; ++i) {
    const at::Tensor row = view[i][0][48];
    const double one = (row[49] / row[48]).item<double>(), two = (row[50] / row[48]).item<double>();
    EXPECT_NEAR(view[i][0].sum().item<double>(), 1, 1e-4);
    EXPECT_NEAR(two, std::pow(one, 4), 1e-4);         // exp(-d^2 / (2 s^2)) at d of 1 and 2
    EXPECT_LE(one, std::exp(-1.0 / (2 * 4)) + 1e-4);  // a deviation of at most 2
    widest = std::max(widest, one);
  }
  EXPECT_GT(widest, 0.3);
}

}  // namespace
}  // namespace retort::augment
