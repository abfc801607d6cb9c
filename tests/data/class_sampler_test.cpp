#include "retort/data/class_sampler.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <set>

namespace retort::data {
namespace {

/// Seven grey images of one pixel: bytes 0, 10, .. 60. Class 0 has rows 0, 2, 3, 6; class 1 has
/// rows 1, 5; class 2 has row 4.
Split tiny() {
  return make_split(at::arange(0, 70, 10, at::kByte).view({7, 1, 1, 1}),
                    at::tensor({0, 1, 0, 0, 2, 1, 0}, at::kLong), 3);
}

using Rows = std::vector<int64_t>;

/// A draw without the library's shuffle: places are swapped in from what is left.
Rows by_hand(Rows members, RandomStream stream, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto left = static_cast<int64_t>(members.size() - i);
    std::swap(members[i], members[i + static_cast<size_t>(stream.uniform_int(left))]);
  }
  members.resize(count);
  return members;
}

TEST(DrawRows, TakesTheMembersOfTheClassThatTheStreamSays) {
  const Split split = tiny();
  for (uint64_t i = 0; i < 20; ++i) {
    RandomStream stream(3, "test.draw", i);
    const Rows first = by_hand({0, 2, 3, 6}, stream, 3);
    EXPECT_EQ(draw_rows(split, stream, 0, 3), first);
    // The same stream goes on with the next class.
    const Rows second = by_hand({1, 5}, stream, 1);
    EXPECT_EQ(draw_rows(split, stream, 1, 1), second);
  }
}

TEST(DrawRows, TakesAllOfASmallClassAndNoneOfNoClass) {
  const Split split = tiny();
  RandomStream stream(3, "test.draw");
  Rows all = draw_rows(split, stream, 0, 9);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (Rows{0, 2, 3, 6}));
  EXPECT_EQ(draw_rows(split, stream, 2, 9), (Rows{4}));
  EXPECT_EQ(draw_rows(split, stream, 1, 0), (Rows{}));
  EXPECT_THROW(draw_rows(split, stream, 3, 1), std::out_of_range);
  EXPECT_THROW(draw_rows(split, stream, -1, 1), std::out_of_range);
}

TEST(ClassSampler, GivesNormalisedImagesOfTheDrawnRowsWithTheirLabels) {
  const Split split = tiny();
  const ClassSampler real(split, Preprocessing::mean_std({0.2}, {0.1}), at::kCPU);
  EXPECT_EQ(real.size(), 7);
  EXPECT_EQ(real.classes(), 3);
  const RandomStream stream(5, "test.images");
  const Rows rows = by_hand({0, 2, 3, 6}, stream, 2);
  EXPECT_EQ(real.rows(stream, 0, 2), rows);
  const at::Tensor images = real.draw(stream, 0, 2);
  ASSERT_EQ(images.sizes(), at::IntArrayRef({2, 1, 1, 1}));
  for (int64_t i = 0; i < 2; ++i)
    EXPECT_NEAR(images[i].item<double>(), (static_cast<double>(rows[i]) * 10 / 255 - 0.2) / 0.1,
                1e-5);
  EXPECT_TRUE(real.images(rows).equal(images));
  const Batch batch = real.batch(Rows{4, 1, 4});
  EXPECT_TRUE(batch.images.equal(real.images(Rows{4, 1, 4})));
  EXPECT_TRUE(batch.targets.equal(at::tensor({2, 1, 2}, at::kLong)));
  EXPECT_EQ(real.images({}).size(0), 0);
}

TEST(ClassSampler, DrawsTheSameFromACopyOfAStream) {
  const Split split = tiny();
  const ClassSampler real(split, Preprocessing(), at::kCPU);
  const RandomStream stream(5, "test.images");
  EXPECT_EQ(real.rows(stream, 0, 4), real.rows(stream, 0, 4));
  std::set<Rows> orders;
  for (uint64_t i = 0; i < 50; ++i)
    orders.insert(real.rows(RandomStream(5, "test.images", i), 0, 4));
  EXPECT_GT(orders.size(), 10U);  // of 24
}

TEST(ClassSampler, KeepsTheBytesOfTheSplitOnACpu) {
  const Split split = tiny();
  const ClassSampler real(split, Preprocessing(), at::kCPU);
  split.images[1].fill_(255);
  EXPECT_EQ(real.images(Rows{1}).item<float>(), 1);  // no copy was made
}

}  // namespace
}  // namespace retort::data
