#include <gtest/gtest.h>
#include <torch/types.h>

#include "retort/data/dataset.h"

namespace retort::data {
namespace {

/// Two channels of two pixels: (0, 51) and (102, 255), that is (0, 0.2) and (0.4, 1).
at::Tensor bytes() {
  return at::tensor({0, 51, 102, 255}, at::kByte).view({1, 2, 1, 2});
}

bool close(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && at::allclose(a, b, 1e-5, 1e-6);
}

at::Tensor pixels(std::vector<float> values) {
  return at::tensor(values).view({1, 2, 1, 2});
}

TEST(Preprocessing, ScalesBytesToOneWhereNothingElseIsAsked) {
  const Preprocessing plain;
  EXPECT_EQ(plain.kind(), "none");
  EXPECT_TRUE(close(plain.apply(bytes(), at::kCPU), pixels({0, 0.2f, 0.4f, 1})));
  EXPECT_EQ(plain.apply(bytes(), at::kCPU).max().item<float>(), 1.0f);
}

TEST(Preprocessing, NormalisesEachChannelByItsOwnMeanAndDeviation) {
  const Preprocessing normal = Preprocessing::mean_std({0.1, 0.4}, {0.1, 0.3});
  const at::Tensor input = normal.apply(bytes(), at::kCPU);
  EXPECT_EQ(input.scalar_type(), at::kFloat);
  EXPECT_TRUE(close(input, pixels({-1, 1, 0, 2})));
}

TEST(Preprocessing, InvertsToPixelsWithinRange) {
  const Preprocessing normal = Preprocessing::mean_std({0.1, 0.4}, {0.1, 0.3});
  EXPECT_TRUE(close(normal.invert(normal.apply(bytes(), at::kCPU)), pixels({0, 0.2f, 0.4f, 1})));
  EXPECT_TRUE(close(normal.invert(pixels({-9, 1, 0, 9})), pixels({0, 0.2f, 0.4f, 1})));
  EXPECT_TRUE(close(Preprocessing().invert(pixels({-1, 0, 0.5f, 2})), pixels({0, 0, 0.5f, 1})));
}

TEST(Preprocessing, GivesContiguousInputForAnyLayoutOfBytes) {
  const at::Tensor images = at::arange(2 * 3 * 4 * 5).to(at::kByte).view({2, 3, 4, 5});
  const Preprocessing normal = Preprocessing::mean_std({0.5, 0.4, 0.3}, {1, 1, 1});
  const at::Tensor input =
      normal.apply(images.contiguous(at::MemoryFormat::ChannelsLast), at::kCPU);
  EXPECT_TRUE(input.is_contiguous());
  EXPECT_TRUE(input.equal(normal.apply(images, at::kCPU)));
}

TEST(Preprocessing, RefusesAnotherNumberOfChannels) {
  EXPECT_THROW(Preprocessing::mean_std({0.5}, {1}).apply(bytes(), at::kCPU), c10::Error);
  EXPECT_THROW(Preprocessing::mean_std({0.5}, {0}), c10::Error);
}

}  // namespace
}  // namespace retort::data
