#include "report/picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "report/font.h"

namespace retort::report {
namespace {

using Pixel = std::array<int, 3>;

Pixel at(const Picture& picture, int64_t x, int64_t y) {
  const auto start = static_cast<size_t>((y * picture.width + x) * 3);
  return {picture.pixels[start], picture.pixels[start + 1], picture.pixels[start + 2]};
}

const Pixel kGround = {22, 25, 31};

/// [3, 2, 2]: red, green / blue, white.
const std::vector<uint8_t> kCorners = {255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255};

TEST(Picture, DrawsPlanarPixelsEnlarged) {
  const Picture picture = draw_grid({{"", {kCorners}}}, 3, 2, 2, 10, 5);
  ASSERT_EQ(picture.channels, 3);
  EXPECT_EQ(picture.width, 2 * kGridMargin + 10);
  EXPECT_EQ(picture.height, 2 * kGridMargin + 10);
  ASSERT_EQ(picture.pixels.size(), static_cast<size_t>(26 * 26 * 3));
  EXPECT_EQ(at(picture, 7, 7), kGround);
  EXPECT_EQ(at(picture, 8, 8), (Pixel{255, 0, 0}));
  EXPECT_EQ(at(picture, 12, 12), (Pixel{255, 0, 0}));
  EXPECT_EQ(at(picture, 13, 8), (Pixel{0, 255, 0}));
  EXPECT_EQ(at(picture, 8, 13), (Pixel{0, 0, 255}));
  EXPECT_EQ(at(picture, 17, 17), (Pixel{255, 255, 255}));
  EXPECT_EQ(at(picture, 18, 17), kGround);
}

TEST(Picture, LeavesAGapBetweenImages) {
  const Picture picture = draw_grid({{"", {kCorners, kCorners}}}, 3, 2, 2, 10, 5);
  EXPECT_EQ(picture.width, 2 * kGridMargin + 2 * 10 + kGridGap);
  EXPECT_EQ(at(picture, 18, 8), kGround);
  EXPECT_EQ(at(picture, 19, 8), kGround);
  EXPECT_EQ(at(picture, 20, 8), (Pixel{255, 0, 0}));
}

TEST(Picture, DrawsAtMostSoManyImagesARow) {
  const std::vector<std::vector<uint8_t>> images(7, kCorners);
  EXPECT_EQ(draw_grid({{"", images}}, 3, 2, 2, 3, 5).width,
            2 * kGridMargin + 3 * 10 + 2 * kGridGap);
}

TEST(Picture, LaysShortRowsSideBySide) {
  const std::vector<GridRow> rows(4, GridRow{"", {kCorners}});
  const Picture picture = draw_grid(rows, 3, 2, 2, 10, 20);
  EXPECT_EQ(picture.width, 2 * kGridMargin + 2 * 40 + 24);
  EXPECT_EQ(picture.height, 2 * kGridMargin + 2 * 40 + kGridGap);
  EXPECT_EQ(at(picture, 8 + 40 + 24, 8), (Pixel{255, 0, 0}));
}

TEST(Picture, WritesTheLabelLeftOfTheImages) {
  const std::vector<uint8_t> black(28 * 28 * 3, 0);
  const Picture picture = draw_grid({{"I", {black}}}, 3, 28, 28, 10, 1);
  // One character, four free pixels, the image.
  EXPECT_EQ(picture.width, 2 * kGridMargin + kGlyphWidth + 4 + 28);
  const int64_t top = kGridMargin + (28 - kCapitalHeight) / 2;
  EXPECT_EQ(at(picture, kGridMargin, top), kGround);
  EXPECT_NE(at(picture, kGridMargin + 1, top), kGround);
  EXPECT_NE(at(picture, kGridMargin + 2, top + 3), kGround);
  EXPECT_EQ(at(picture, kGridMargin + 1, top + 3), kGround);
}

/// What is drawn left of the only image of each row, as text.
std::vector<std::string> drawn_labels(const std::vector<std::string>& labels) {
  const std::vector<uint8_t> black(28 * 28, 0);
  std::vector<GridRow> rows;
  for (const std::string& label : labels) rows.push_back({label, {black}});
  const Picture picture = draw_grid(rows, 1, 28, 28, 10, 1);
  std::vector<std::string> seen;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string ink;
    const auto top = kGridMargin + static_cast<int64_t>(i) * (28 + kGridGap);
    for (int64_t y = top; y < top + 28; ++y)
      for (int64_t x = kGridMargin; x < picture.width - kGridMargin - 28; ++x)
        ink += picture.pixels[y * picture.width + x] > 100 ? '#' : '.';
    seen.push_back(ink);
  }
  return seen;
}

TEST(Picture, NeverDrawsTwoLabelsAlike) {
  for (const auto& labels : std::vector<std::vector<std::string>>{
           {"a class of a long name, cat", "a class of a long name, dog",
            "a class of a long name, cow"},
           {"great white heron of the north", "great blue heron of the north"},
           {"the long one with a difference here -> x <- and then much more of the same text again",
            "the long one with a difference here -> y <- and then much more of the same text "
            "again"},
           {"\u72ac", "\u732b"}}) {
    const auto seen = drawn_labels(labels);
    for (size_t i = 0; i < seen.size(); ++i)
      for (size_t j = 0; j < i; ++j) EXPECT_NE(seen[i], seen[j]) << labels[i];
  }
}

TEST(Picture, KeepsGreyImagesGrey) {
  const Picture picture = draw_grid({{"", {{7, 9}}}}, 1, 1, 2, 10, 1);
  ASSERT_EQ(picture.channels, 1);
  ASSERT_EQ(picture.pixels.size(), static_cast<size_t>(picture.width * picture.height));
  const auto start = static_cast<size_t>(kGridMargin * picture.width + kGridMargin);
  EXPECT_EQ(picture.pixels[start], 7);
  EXPECT_EQ(picture.pixels[start + 1], 9);
}

TEST(Picture, ChoosesAScaleThatIsSeen) {
  const auto height = [](int64_t side) {
    const std::vector<uint8_t> image(static_cast<size_t>(side * side), 0);
    return draw_grid({{"", {image}}}, 1, side, side).height - 2 * kGridMargin;
  };
  EXPECT_EQ(height(8), 64);
  EXPECT_EQ(height(28), 56);
  EXPECT_EQ(height(32), 64);
  EXPECT_EQ(height(64), 64);
  EXPECT_EQ(height(128), 128);
}

TEST(Picture, DrawsNothingWithoutRows) {
  const Picture picture = draw_grid({}, 3, 32, 32);
  EXPECT_GT(picture.width, 0);
  EXPECT_GT(picture.height, 0);
  EXPECT_NO_THROW(draw_grid({{"cat", {}}, {"dog", {}}}, 3, 32, 32));
}

TEST(Picture, RefusesImagesOfAnotherSize) {
  EXPECT_THROW(draw_grid({{"cat", {{1, 2, 3}}}}, 3, 2, 2), std::invalid_argument);
}

TEST(Font, DrawsEveryPrintableCharacterDifferently) {
  std::vector<std::string> seen;
  for (int code = 33; code <= 127; ++code) {
    std::string glyph;
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x)
        glyph += has_ink(static_cast<char>(code), x, y) ? '#' : '.';
    EXPECT_NE(glyph.find('#'), std::string::npos) << code;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), glyph), 0) << code;
    seen.push_back(glyph);
  }
}

TEST(Font, ShowsOneBoxForAForeignCharacter) {
  EXPECT_EQ(printable("caf\u00e9"), "caf\x7f");
  EXPECT_EQ(printable("\u72ac!"), "\x7f!");
}

}  // namespace
}  // namespace retort::report
