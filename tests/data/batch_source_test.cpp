#include "retort/data/batch_source.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace retort::data {
namespace {

/// Five grey images of one pixel: bytes 0, 51, 102, 153, 204 with labels 0, 1, 0, 1, 0.
Split tiny() {
  return make_split(at::arange(0, 255, 51, at::kByte).view({5, 1, 1, 1}),
                    at::tensor({0, 1, 0, 1, 0}, at::kLong), 2);
}

TEST(RealSource, FetchesNormalisedRowsInTheAskedOrder) {
  const Split split = tiny();
  const Preprocessing normal = Preprocessing::mean_std({0.2}, {0.2});
  const auto source = real_source(split, normal, at::kCPU);
  EXPECT_EQ(source->size(), 5);
  const Batch batch = source->get({3, 0, 3});
  EXPECT_EQ(batch.images.sizes(), at::IntArrayRef({3, 1, 1, 1}));
  EXPECT_TRUE(at::allclose(batch.images.flatten(), at::tensor({2.0f, -1.0f, 2.0f}), 1e-5, 1e-6));
  EXPECT_TRUE(batch.targets.equal(at::tensor({1, 0, 1}, at::kLong)));
}

TEST(RealSource, KeepsToTheGivenRows) {
  const Split split = tiny();
  const auto source = real_source(split, Preprocessing(), at::kCPU, {4, 1});
  EXPECT_EQ(source->size(), 2);
  const Batch batch = source->get({1, 0});
  EXPECT_TRUE(at::allclose(batch.images.flatten(), at::tensor({0.2f, 0.8f}), 1e-5, 1e-6));
  EXPECT_TRUE(batch.targets.equal(at::tensor({1, 0}, at::kLong)));
}

TEST(RealSource, RefusesRowsOutsideTheSplit) {
  const Split split = tiny();
  EXPECT_THROW(real_source(split, Preprocessing(), at::kCPU, {5}), c10::Error);
  EXPECT_THROW(real_source(split, Preprocessing(), at::kCPU)->get({5}), c10::Error);
}

TEST(RealSource, GivesAnEmptyBatchForNoRows) {
  const Split split = tiny();
  const Batch batch = real_source(split, Preprocessing(), at::kCPU)->get({});
  EXPECT_EQ(batch.images.sizes(), at::IntArrayRef({0, 1, 1, 1}));
}

TEST(TensorSource, FetchesRowsOfImagesAndSoftTargets) {
  const at::Tensor images = at::arange(3 * 4, at::kFloat).view({3, 1, 2, 2});
  const at::Tensor targets = at::arange(6, at::kFloat).view({3, 2});
  const auto source = tensor_source(images, targets);
  EXPECT_EQ(source->size(), 3);
  const Batch batch = source->get({2, 0});
  EXPECT_TRUE(batch.images[0].equal(images[2]));
  EXPECT_TRUE(batch.targets.equal(at::tensor({4.0f, 5.0f, 0.0f, 1.0f}).view({2, 2})));
  EXPECT_THROW(tensor_source(images, targets.narrow(0, 0, 2)), c10::Error);
}

}  // namespace
}  // namespace retort::data
