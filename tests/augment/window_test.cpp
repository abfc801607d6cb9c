#include "retort/augment/window.h"

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

WindowMap map_of(const Window& window, at::IntArrayRef from, at::IntArrayRef to) {
  return WindowMap({window}, from, to, at::kDouble);
}

TEST(Window, TheWholeImageStaysAsItIs) {
  const at::Tensor images = noise({2, 3, 5, 7});
  EXPECT_TRUE(map_of(whole_window(5, 7), {5, 7}, {5, 7}).apply(images).equal(images));
}

TEST(Window, IsACropResizedAsLibtorchDoesIt) {
  const at::Tensor images = noise({2, 3, 8, 8});
  Window window;
  window.top = 1, window.left = 3, window.height = 4, window.width = 5;
  const at::Tensor crop = images.slice(2, 1, 5).slice(3, 3, 8);
  const at::Tensor wanted = at::upsample_bilinear2d(crop, {8, 8}, false);
  EXPECT_TRUE(at::allclose(map_of(window, {8, 8}, {8, 8}).apply(images), wanted, 0, 1e-12));
}

TEST(Window, ThatShrinksAveragesAsPyTorchsAntialiasDoes) {
  const nlohmann::json golden = tests::golden("antialias");
  const at::Tensor images = tests::golden_tensor(golden.at("image"), {1, 2, 11, 13});
  for (const nlohmann::json& view : golden.at("views")) {
    const auto place = view.at("window").get<std::vector<int64_t>>();
    const auto to = view.at("to").get<std::vector<int64_t>>();
    Window window;
    window.top = place[0], window.left = place[1], window.height = place[2],
    window.width = place[3];
    const WindowMap map({window}, {11, 13}, to, at::kDouble, /*smooth=*/true);
    const at::Tensor wanted = tests::golden_tensor(view.at("view"), {1, 2, to[0], to[1]});
    EXPECT_TRUE(at::allclose(map.apply(images), wanted, 0, 2e-4)) << view;  // float32 of 0 to 99
  }
}

TEST(Window, FlipsAndThenRolls) {
  const at::Tensor images = noise({2, 3, 6, 8});
  Window window = whole_window(6, 8);
  window.flip = true;
  window.roll_rows = 2, window.roll_columns = -3;
  const at::Tensor wanted = images.flip({3}).roll({2, -3}, {2, 3});
  EXPECT_TRUE(map_of(window, {6, 8}, {6, 8}).apply(images).equal(wanted));
}

TEST(Window, OutsideTheImageIsZero) {
  const at::Tensor images = noise({1, 1, 4, 4});
  Window window = whole_window(4, 4);
  window.top = -1, window.left = 2;
  const at::Tensor found = map_of(window, {4, 4}, {4, 4}).apply(images);
  EXPECT_TRUE(found.slice(2, 1).slice(3, 0, 2).equal(images.slice(2, 0, 3).slice(3, 2, 4)));
  EXPECT_EQ(found.slice(2, 0, 1).abs().sum().item<double>(), 0);
  EXPECT_EQ(found.slice(3, 2).abs().sum().item<double>(), 0);
}

TEST(Window, HasItsAdjoint) {
  RandomStream stream(3, "test");
  std::vector<Window> windows;
  for (int i = 0; i < 3; ++i) {
    windows.push_back(draw_window(9, 7, 0.08, 1, 4.0 / 3, stream));
    windows.back().flip = i != 1;
    windows.back().roll_rows = i, windows.back().roll_columns = 2 * i;
  }
  const WindowMap map(windows, {9, 7}, {6, 5}, at::kDouble);
  const at::Tensor images = noise({3, 2, 9, 7}), cotangents = noise({3, 2, 6, 5}, 2);
  EXPECT_NEAR((map.apply(images) * cotangents).sum().item<double>(),
              (images * map.adjoint(cotangents)).sum().item<double>(), 1e-12);
}

TEST(Window, DrawsAreasAndProportionsThatWereAskedFor) {
  RandomStream stream(5, "test");
  double smallest = 1, largest = 0;
  for (int i = 0; i < 500; ++i) {
    const Window window = draw_window(64, 64, 0.25, 0.5, 4.0 / 3, stream);
    const double area = static_cast<double>(window.height * window.width) / (64 * 64);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    EXPECT_LE(window.top + window.height, 64);
    EXPECT_LE(window.left + window.width, 64);
    const double ratio = static_cast<double>(window.width) / static_cast<double>(window.height);
    EXPECT_LT(std::abs(std::log(ratio)), std::log(4.0 / 3) + 0.05);
  }
  EXPECT_GT(smallest, 0.23);
  EXPECT_LT(largest, 0.52);
}

TEST(Window, OfTheWholeAreaAndSquareIsTheWholeImage) {
  RandomStream stream(5, "test");
  const Window window = draw_window(32, 32, 1, 1, 1, stream);
  EXPECT_EQ(window.height, 32);
  EXPECT_EQ(window.width, 32);
  EXPECT_EQ(window.top, 0);
}

TEST(Window, ShiftsByUpToTheMargin) {
  RandomStream stream(6, "test");
  int64_t lowest = 9, highest = -9;
  for (int i = 0; i < 200; ++i) {
    const Window window = draw_shift(8, 8, 2, stream);
    lowest = std::min(lowest, window.top);
    highest = std::max(highest, window.top);
    EXPECT_EQ(window.height, 8);
  }
  EXPECT_EQ(lowest, -2);
  EXPECT_EQ(highest, 2);
}

}  // namespace
}  // namespace retort::augment
