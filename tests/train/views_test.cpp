#include "retort/train/views.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace retort::train {
namespace {

std::unique_ptr<data::BatchSource> numbered(int64_t count) {
  return data::tensor_source(
      at::arange(count, at::kFloat).view({-1, 1, 1, 1}).expand({count, 2, 8, 8}).contiguous(),
      at::arange(count, at::kLong));
}

ViewOptions plain() {
  ViewOptions options;
  options.batch_size = 4;
  options.min_crop_area = 1;
  options.flip = false;
  options.mixing = "none";
  return options;
}

TEST(Views, AnEpochShowsEveryImageOnce) {
  const auto source = numbered(10);
  const Views views(*source, plain(), 3);
  ASSERT_EQ(views.batches(), 3);
  EXPECT_EQ(views.rows_of(2), 2);
  std::vector<float> seen;
  for (int64_t b = 0; b < 3; ++b) {
    const Views::Batch batch = views.get(1, b);
    for (int64_t i = 0; i < batch.images.size(0); ++i) {
      seen.push_back(batch.images[i][0][0][0].item<float>());
      EXPECT_EQ(batch.targets[i].item<float>(), seen.back());
    }
  }
  std::sort(seen.begin(), seen.end());
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<float>(i));
}

TEST(Views, AreAFunctionOfSeedEpochAndBatch) {
  const auto source = numbered(10);
  ViewOptions options;
  options.batch_size = 4;
  const Views views(*source, options, 3), same(*source, options, 3), other(*source, options, 4);
  EXPECT_TRUE(views.get(2, 1).images.equal(same.get(2, 1).images));
  EXPECT_FALSE(views.get(2, 1).images.equal(views.get(1, 1).images));
  EXPECT_FALSE(views.get(2, 1).images.equal(other.get(2, 1).images));
}

/// Six different images [6, 2, 4, 6].
at::Tensor pictures() {
  return at::arange(6 * 2 * 4 * 6, at::kFloat).view({6, 2, 4, 6});
}

/// The pictures of a batch before anything happened to them, in its order.
at::Tensor originals(const Views::Batch& batch) {
  return pictures().index_select(0, batch.targets);
}

TEST(Views, MirrorHalfOfTheImages) {
  const auto source = data::tensor_source(pictures(), at::arange(6, at::kLong));
  ViewOptions options = plain();
  options.flip = true;
  const Views views(*source, options, 3);
  int64_t mirrored = 0;
  for (int64_t epoch = 0; epoch < 100; ++epoch) {
    const Views::Batch batch = views.get(epoch, 0);
    const at::Tensor before = originals(batch);
    for (int64_t i = 0; i < 4; ++i) {
      const bool flipped = batch.images[i].equal(before[i].flip({2}));
      mirrored += flipped ? 1 : 0;
      EXPECT_TRUE(flipped || batch.images[i].equal(before[i]));
    }
  }
  EXPECT_NEAR(mirrored, 200, 50);  // five deviations
}

TEST(Views, ShiftBlackPixelsIn) {
  const auto preprocessing = data::Preprocessing::mean_std({0.5, 0.25}, {0.25, 0.5});
  const auto source = data::tensor_source(pictures(), at::arange(6, at::kLong));
  ViewOptions options = plain();
  options.padding = 2;
  const Views views(*source, options, 3, preprocessing);
  // (0 - mean) / deviation of each channel; torchvision pads before it normalises.
  const at::Tensor black = at::tensor({-2.0f, -0.5f}).view({1, 2, 1, 1});
  const at::Tensor padded = at::constant_pad_nd(pictures() - black, {2, 2, 2, 2}) + black;
  std::vector<int> seen(25);
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    const Views::Batch batch = views.get(epoch, 0);
    for (int64_t i = 0; i < 4; ++i) {
      const at::Tensor whole = padded[batch.targets[i].item<int64_t>()];
      int matches = 0;
      for (int64_t place = 0; place < 25; ++place) {
        const at::Tensor wanted =
            whole.slice(1, place / 5, place / 5 + 4).slice(2, place % 5, place % 5 + 6);
        if (!at::allclose(batch.images[i], wanted, 0, 1e-4)) continue;
        ++matches;
        ++seen[place];
      }
      EXPECT_EQ(matches, 1);
    }
  }
  for (const int times : seen) EXPECT_GT(times, 0);
}

TEST(Views, ShuffleThePatchesOfMosaics) {
  const auto source = data::tensor_source(pictures(), at::arange(6, at::kLong));
  ViewOptions options = plain();
  options.mosaic = 2;
  const Views views(*source, options, 3);
  std::vector<int> seen(4);
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const Views::Batch batch = views.get(epoch, 0);
    const at::Tensor before = originals(batch);
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t way = 0; way < 4; ++way) {
        // Halves change places as wholes: left and right, upper and lower.
        const at::Tensor wanted = before[i].roll({way / 2 * 2, way % 2 * 3}, {1, 2});
        if (batch.images[i].equal(wanted)) ++seen[way];
      }
  }
  int all = 0;
  for (const int times : seen) {
    EXPECT_NEAR(times, 40, 28);  // five deviations
    all += times;
  }
  EXPECT_EQ(all, 160);
}

TEST(Views, ShufflesStripsOfWhatDoesNotDivide) {
  const auto source =
      data::tensor_source(at::arange(7, at::kFloat).view({1, 1, 1, 7}), at::zeros({1}, at::kLong));
  ViewOptions options = plain();
  options.mosaic = 3;  // of one line three empty strips above each other, or 2, 2 and 3 pixels
  EXPECT_EQ(Views(*source, options, 3).get(0, 0).images.sum().item<float>(), 21);
}

TEST(Views, AreMixedAsTheirMixSays) {
  const auto source = data::tensor_source(pictures(), at::arange(6, at::kLong));
  ViewOptions options = plain();
  options.mixing = "mixup";
  options.alpha = 0.8;
  const Views added(*source, options, 3);
  options.mixing = "cutmix";
  const Views cut(*source, options, 3);
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const Views::Batch sum = added.get(epoch, 0), boxes = cut.get(epoch, 0);
    const auto partners = [&](const Views::Batch& batch) {
      return originals(batch).index_select(0, at::tensor(batch.mix.partners, at::kLong));
    };
    const double own = sum.mix.own;
    EXPECT_TRUE(at::allclose(sum.images, own * originals(sum) + (1 - own) * partners(sum), 1e-5));
    const at::Tensor other = partners(boxes);
    at::Tensor wanted = originals(boxes).clone();
    for (int64_t y = boxes.mix.top; y < boxes.mix.bottom; ++y)
      for (int64_t x = boxes.mix.left; x < boxes.mix.right; ++x)
        wanted.select(2, y).select(2, x).copy_(other.select(2, y).select(2, x));
    EXPECT_TRUE(boxes.images.equal(wanted));
  }
}

TEST(Views, CropsAreWindowsResized) {
  // A ramp stays a ramp under a crop, with the slope of the window's share of the side.
  const at::Tensor ramp = at::arange(16, at::kFloat).view({1, 1, 1, 16}).expand({1, 1, 16, 16});
  const auto source = data::tensor_source(ramp.contiguous(), at::zeros({1}, at::kLong));
  ViewOptions options = plain();
  options.min_crop_area = 0.25;
  const Views views(*source, options, 3);
  double least = 1, most = 0;
  for (int64_t epoch = 0; epoch < 200; ++epoch) {
    const at::Tensor row = views.get(epoch, 0).images[0][0][5];
    const double slope = (row[8] - row[7]).item<double>();
    least = std::min(least, slope);
    most = std::max(most, slope);
  }
  // Sides of an area of a quarter to all, in proportions of 3/4 to 4/3.
  EXPECT_GE(least, std::sqrt(0.25 * 0.75) - 0.05);
  EXPECT_LT(least, 0.5);
  EXPECT_LE(most, 1 + 1e-4);
  EXPECT_GT(most, 0.9);
}

}  // namespace
}  // namespace retort::train
