#include "retort/train/views.h"

#include <gtest/gtest.h>

#include <algorithm>

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
  options.crop_low = 1;
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

}  // namespace
}  // namespace retort::train
