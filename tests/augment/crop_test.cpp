#include "retort/augment/crop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/golden.h"

namespace retort::augment {
namespace {

at::Tensor noise(at::IntArrayRef sizes, uint64_t seed = 1) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  RandomStream(seed, "test").fill_normal(values.data_ptr<float>(), values.numel());
  return values.to(at::kDouble);
}

CropMap map_of(const Crop& crop, at::IntArrayRef from, at::IntArrayRef to) {
  return CropMap({crop}, from, to, at::kDouble);
}

TEST(Crop, TheWholeImageStaysAsItIs) {
  const at::Tensor images = noise({2, 3, 5, 7});
  EXPECT_TRUE(map_of(whole_image(5, 7), {5, 7}, {5, 7}).apply(images).equal(images));
}

TEST(Crop, IsResizedAsLibtorchDoesIt) {
  const at::Tensor images = noise({2, 3, 8, 8});
  Crop crop;
  crop.top = 1, crop.left = 3, crop.height = 4, crop.width = 5;
  const at::Tensor part = images.slice(2, 1, 5).slice(3, 3, 8);
  const at::Tensor wanted = at::upsample_bilinear2d(part, {8, 8}, false);
  EXPECT_TRUE(at::allclose(map_of(crop, {8, 8}, {8, 8}).apply(images), wanted, 0, 1e-12));
}

TEST(Crop, ThatShrinksAveragesAsPyTorchsAntialiasDoes) {
  const nlohmann::json golden = tests::golden("antialias");
  const at::Tensor images = tests::golden_tensor(golden.at("image"), {1, 2, 11, 13});
  for (const nlohmann::json& view : golden.at("views")) {
    const auto place = view.at("window").get<std::vector<int64_t>>();
    const auto to = view.at("to").get<std::vector<int64_t>>();
    Crop crop;
    crop.top = place[0], crop.left = place[1], crop.height = place[2], crop.width = place[3];
    const CropMap map({crop}, {11, 13}, to, at::kDouble, /*smooth=*/true);
    const at::Tensor wanted = tests::golden_tensor(view.at("view"), {1, 2, to[0], to[1]});
    EXPECT_TRUE(at::allclose(map.apply(images), wanted, 0, 2e-4)) << view;  // float32 of 0 to 99
  }
}

TEST(Crop, FlipsAndThenRolls) {
  const at::Tensor images = noise({2, 3, 6, 8});
  Crop crop = whole_image(6, 8);
  crop.flip = true;
  crop.roll_rows = 2, crop.roll_columns = -3;
  const at::Tensor wanted = images.flip({3}).roll({2, -3}, {2, 3});
  EXPECT_TRUE(map_of(crop, {6, 8}, {6, 8}).apply(images).equal(wanted));
}

TEST(Crop, OutsideTheImageIsZero) {
  const at::Tensor images = noise({1, 1, 4, 4});
  Crop crop = whole_image(4, 4);
  crop.top = -1, crop.left = 2;
  const at::Tensor found = map_of(crop, {4, 4}, {4, 4}).apply(images);
  EXPECT_TRUE(found.slice(2, 1).slice(3, 0, 2).equal(images.slice(2, 0, 3).slice(3, 2, 4)));
  EXPECT_EQ(found.slice(2, 0, 1).abs().sum().item<double>(), 0);
  EXPECT_EQ(found.slice(3, 2).abs().sum().item<double>(), 0);
}

TEST(Crop, HasItsAdjoint) {
  RandomStream stream(3, "test");
  std::vector<Crop> crops;
  for (int i = 0; i < 3; ++i) {
    crops.push_back(draw_crop(9, 7, 0.08, 1, 4.0 / 3, stream));
    crops.back().flip = i != 1;
    crops.back().roll_rows = i, crops.back().roll_columns = 2 * i;
  }
  const CropMap map(crops, {9, 7}, {6, 5}, at::kDouble);
  const at::Tensor images = noise({3, 2, 9, 7}), cotangents = noise({3, 2, 6, 5}, 2);
  EXPECT_NEAR((map.apply(images) * cotangents).sum().item<double>(),
              (images * map.adjoint(cotangents)).sum().item<double>(), 1e-12);
}

TEST(Crop, DrawsAreasAndProportionsThatWereAskedFor) {
  RandomStream stream(5, "test");
  double smallest = 1, largest = 0;
  for (int i = 0; i < 500; ++i) {
    const Crop crop = draw_crop(64, 64, 0.25, 0.5, 4.0 / 3, stream);
    const double area = static_cast<double>(crop.height * crop.width) / (64 * 64);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    EXPECT_LE(crop.top + crop.height, 64);
    EXPECT_LE(crop.left + crop.width, 64);
    const double ratio = static_cast<double>(crop.width) / static_cast<double>(crop.height);
    EXPECT_LT(std::abs(std::log(ratio)), std::log(4.0 / 3) + 0.05);
  }
  EXPECT_GT(smallest, 0.23);
  EXPECT_LT(largest, 0.52);
}

TEST(Crop, OfTheWholeAreaAndSquareIsTheWholeImage) {
  RandomStream stream(5, "test");
  const Crop crop = draw_crop(32, 32, 1, 1, 1, stream);
  EXPECT_EQ(crop.height, 32);
  EXPECT_EQ(crop.width, 32);
  EXPECT_EQ(crop.top, 0);
}

TEST(Crop, ShiftsByUpToThePadding) {
  RandomStream stream(6, "test");
  int64_t lowest = 9, highest = -9;
  for (int i = 0; i < 200; ++i) {
    const Crop crop = draw_shift(8, 8, 2, stream);
    lowest = std::min(lowest, crop.top);
    highest = std::max(highest, crop.top);
    EXPECT_EQ(crop.height, 8);
  }
  EXPECT_EQ(lowest, -2);
  EXPECT_EQ(highest, 2);
}

}  // namespace
}  // namespace retort::augment
