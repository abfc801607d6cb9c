#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/file.h"
#include "retort/data/raw.h"

namespace retort::data {
namespace {

constexpr size_t kArea = 32 * 32, kPixels = 3 * kArea;

TEST(Shapes, HoldTenBalancedClasses) {
  const RawDataset set = make_shapes(0.05);
  EXPECT_EQ(set.class_names.size(), 10u);
  EXPECT_EQ(set.channels, 3);
  EXPECT_EQ(set.height, 32);
  EXPECT_EQ(set.train.size(), 500);
  EXPECT_EQ(set.test.size(), 100);
  EXPECT_EQ(set.train.pixels.size(), 500 * kPixels);
  for (int64_t c = 0; c < 10; ++c)
    EXPECT_EQ(std::count(set.train.labels.begin(), set.train.labels.end(), c), 50);
}

TEST(Shapes, AreTheSameBytesEveryTime) {
  const RawDataset set = make_shapes(0.01), again = make_shapes(0.01);
  EXPECT_EQ(set.train.pixels, again.train.pixels);
  EXPECT_EQ(set.test.pixels, again.test.pixels);
#if defined(__x86_64__)  // where products and sums are not contracted
  const std::vector<uint8_t>& bytes = set.train.pixels;
  EXPECT_EQ(hex(hash_bytes(bytes.data(), bytes.size())), "7ef6f660f8d8c13d");
#endif
}

TEST(Shapes, BeginAlikeAtEveryScale) {
  const RawDataset small = make_shapes(0.01), large = make_shapes(0.03);
  EXPECT_TRUE(
      std::equal(small.train.pixels.begin(), small.train.pixels.end(), large.train.pixels.begin()));
}

TEST(Shapes, DifferBetweenTrainingAndTest) {
  const RawDataset set = make_shapes(0.01);
  EXPECT_FALSE(std::equal(set.train.pixels.begin(), set.train.pixels.begin() + kPixels,
                          set.test.pixels.begin()));
}

/// The image's lightness less its mean, one value a pixel.
std::vector<double> lightness(const RawImages& images, int64_t row) {
  std::vector<double> values(kArea);
  double mean = 0;
  for (size_t i = 0; i < kPixels; ++i) {
    const double value = images.pixels[static_cast<size_t>(row) * kPixels + i];
    values[i % kArea] += value / 3;
    mean += value / kPixels;
  }
  for (double& value : values) value -= mean;
  return values;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

TEST(Shapes, AreToldApartByTheirMeanImages) {
  const RawDataset set = make_shapes(0.1);
  std::vector<std::vector<double>> means(10, std::vector<double>(kArea));
  for (int64_t n = 0; n < set.train.size(); ++n) {
    const std::vector<double> values = lightness(set.train, n);
    for (size_t i = 0; i < kArea; ++i) means[set.train.labels[n]][i] += values[i] / 100;
  }
  int64_t right = 0;
  for (int64_t n = 0; n < set.test.size(); ++n) {
    const std::vector<double> values = lightness(set.test, n);
    const auto nearest = std::min_element(
        means.begin(), means.end(),
        [&](const auto& a, const auto& b) { return distance(values, a) < distance(values, b); });
    right += nearest - means.begin() == set.test.labels[n];
  }
  EXPECT_GT(right, set.test.size() * 3 / 10);  // three times chance
}

}  // namespace
}  // namespace retort::data
