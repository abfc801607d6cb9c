// Decoding, encoding and resizing of image files. Expected pixels of resizing are Pillow 9.4's.
#include "retort/data/image_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::data {
namespace {

using tests::expect_error;

std::string corpus(const std::string& name) {
  return tests::read_text(fmt::format("{}/tests/fuzz/corpus/image/{}", RETORT_SOURCE_DIR, name));
}

// The corpus holds images of 6 x 5 whose samples count up by 7 modulo 251.
uint8_t counted(int64_t i) {
  return static_cast<uint8_t>(i * 7 % 251);
}

// The generator that made Pillow's input too.
DecodedImage random_image(int64_t height, int64_t width, int64_t channels) {
  DecodedImage image{width, height, channels, {}};
  uint64_t x = 12345;
  for (int64_t i = 0; i < height * width * channels; ++i) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    image.pixels.push_back(static_cast<uint8_t>(x >> 16));
  }
  return image;
}

int64_t weighted_sum(const DecodedImage& image) {
  int64_t sum = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i)
    sum += image.pixels[i] * static_cast<int64_t>(i + 1);
  return sum;
}

TEST(ImageFile, DecodesGreyAndColourPng) {
  RETORT_NEEDS_PARTS();
  const DecodedImage grey = decode_image(corpus("l.png"), "l.png");
  ASSERT_EQ(grey.width, 6);
  ASSERT_EQ(grey.height, 5);
  ASSERT_EQ(grey.channels, 1);
  const DecodedImage colour = decode_image(corpus("rgb.png"), "rgb.png");
  ASSERT_EQ(colour.channels, 3);
  for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(grey.pixels[i], counted(i));
  for (int64_t i = 0; i < 90; ++i) EXPECT_EQ(colour.pixels[i], counted(i));
}

TEST(ImageFile, DropsAlphaAndLowByte) {
  RETORT_NEEDS_PARTS();
  const DecodedImage rgba = decode_image(corpus("rgba.png"), "rgba.png");
  ASSERT_EQ(rgba.channels, 3);
  const DecodedImage grey_alpha = decode_image(corpus("la.png"), "la.png");
  ASSERT_EQ(grey_alpha.channels, 1);
  const DecodedImage deep = decode_image(corpus("i16.png"), "i16.png");
  ASSERT_EQ(deep.channels, 1);
  for (int64_t i = 0; i < 30; ++i) {
    EXPECT_EQ(rgba.pixels[3 * i + 1], counted(4 * i + 1));
    EXPECT_EQ(grey_alpha.pixels[i], counted(2 * i));
    EXPECT_EQ(deep.pixels[i], counted(i));
  }
}

TEST(ImageFile, ExpandsPaletteAndBits) {
  RETORT_NEEDS_PARTS();
  EXPECT_EQ(decode_image(corpus("p.png"), "p.png").channels, 3);
  const DecodedImage bits = decode_image(corpus("1.png"), "1.png");
  EXPECT_EQ(bits.channels, 1);
  for (const uint8_t value : bits.pixels) EXPECT_TRUE(value == 0 || value == 255);
}

TEST(ImageFile, DecodesJpeg) {
  RETORT_NEEDS_PARTS();
  EXPECT_EQ(decode_image(corpus("l.jpg"), "l.jpg").channels, 1);
  const DecodedImage colour = decode_image(corpus("rgb.jpg"), "rgb.jpg");
  EXPECT_EQ(colour.channels, 3);
  EXPECT_EQ(colour.width, 6);
  EXPECT_EQ(colour.height, 5);
  EXPECT_EQ(decode_image(corpus("progressive.jpg"), "progressive.jpg").width, 17);
}

TEST(ImageFile, RefusesOtherFiles) {
  expect_error<DataError>([] { decode_image(corpus("neither.bin"), "a.gif"); },
                          {"a.gif", "no image of a known kind"});
  expect_error<DataError>([] { decode_image("", "empty.png"); }, {"empty.png", "empty file"});
}

TEST(ImageFile, RefusesCutFiles) {
  RETORT_NEEDS_PARTS();
  for (const char* name : {"rgb.png.cut", "rgb.jpg.cut", "l.jpg.cut", "progressive.jpg.cut"})
    expect_error<DataError>([&] { decode_image(corpus(name), name); }, {name});
}

TEST(ImageFile, RefusesSizesThatTheBytesCannotHold) {
  RETORT_NEEDS_PARTS();
  std::string bytes = corpus("rgb.png");
  bytes.replace(16, 8, std::string("\0\0\x40\0\0\0\x20\0", 8));  // 16384 x 8192, wrong checksum
  expect_error<DataError>([&] { decode_image(bytes, "big.png"); }, {"big.png"});
  std::string jpeg = corpus("l.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\x27\x10\x27\x10");  // 10000 x 10000
  expect_error<DataError>([&] { decode_image(jpeg, "big.jpg"); },
                          {"big.jpg", "10000 x 10000", "cut off"});
  jpeg.replace(frame + 5, 4, "\x9c\x40\x9c\x40");
  expect_error<DataError>([&] { decode_image(jpeg, "big.jpg"); }, {"40000 x 40000", "at most"});
}

TEST(ImageFile, PngSurvivesTheRoundTrip) {
  RETORT_NEEDS_PARTS();
  for (const int64_t channels : {1, 3}) {
    const DecodedImage image = random_image(9, 4, channels);
    const std::string bytes = encode_png(image.pixels.data(), 4, 9, channels);
    EXPECT_EQ(decode_image(bytes, "x").pixels, image.pixels);
    EXPECT_EQ(bytes, encode_png(image.pixels.data(), 4, 9, channels));
  }
  const DecodedImage rgba = random_image(3, 3, 4);
  EXPECT_EQ(decode_image(encode_png(rgba.pixels.data(), 3, 3, 4), "x").channels, 3);
}

TEST(ToSquare, AgreesWithPillow) {
  const DecodedImage a = to_square(random_image(13, 10, 3), 4);
  EXPECT_EQ(a.pixels,
            (std::vector<uint8_t>{137, 81,  150, 136, 121, 106, 122, 132, 139, 137, 71,  135,
                                  148, 109, 117, 166, 152, 141, 157, 150, 133, 136, 131, 148,
                                  111, 137, 88,  150, 164, 140, 118, 137, 153, 113, 132, 134,
                                  115, 154, 132, 147, 146, 132, 139, 160, 137, 144, 135, 109}));
  const DecodedImage b = to_square(random_image(7, 20, 1), 3);
  EXPECT_EQ(b.pixels, (std::vector<uint8_t>{99, 123, 92, 129, 116, 110, 138, 156, 117}));
  EXPECT_EQ(weighted_sum(to_square(random_image(5, 5, 3), 8)), 2183240);
  EXPECT_EQ(weighted_sum(to_square(random_image(9, 14, 1), 4)), 18530);
}

// Python: image.resize((4, 4), BILINEAR) and Resize(72), CenterCrop(64) of torchvision.
TEST(ToSquare, SquashesAndLeavesAMarginAsPillow) {
  EXPECT_EQ(to_square(random_image(13, 10, 3), 4, Fit::kSquash).pixels,
            (std::vector<uint8_t>{139, 87,  146, 141, 127, 113, 129, 135, 138, 139, 81,  134,
                                  134, 118, 101, 161, 156, 143, 144, 146, 140, 124, 135, 148,
                                  115, 152, 111, 151, 157, 134, 125, 150, 150, 134, 136, 121,
                                  133, 138, 149, 113, 136, 105, 127, 160, 101, 115, 129, 126}));
  EXPECT_EQ(weighted_sum(to_square(random_image(7, 20, 1), 9, Fit::kSquash)), 455431);
  EXPECT_EQ(weighted_sum(to_square(random_image(40, 50, 3), 64, Fit::kEvalCrop)), 9677408996);
  EXPECT_EQ(weighted_sum(to_square(random_image(13, 10, 3), 14, Fit::kEvalCrop)), 23770052);
  EXPECT_EQ(weighted_sum(to_square(random_image(9, 14, 1), 5, Fit::kEvalCrop)), 43987)
      << "a side below 7 has no margin";
}

TEST(ToSquare, ComputesNoMoreThanTheCrop) {
  EXPECT_EQ(weighted_sum(to_square(random_image(1, 3000, 3), 7)), 2014509);
  EXPECT_EQ(weighted_sum(to_square(random_image(3000, 2, 1), 5)), 43892);
  // The whole of it would be 6,720,000 x 224 pixels: 4.5 GB.
  EXPECT_EQ(to_square(random_image(1, 30000, 3), 224).pixels.size(), 224u * 224 * 3);
}

TEST(ToSquare, KeepsAnImageOfTheAskedSize) {
  const DecodedImage image = random_image(6, 6, 3);
  EXPECT_EQ(to_square(image, 6).pixels, image.pixels);
}

TEST(ToChannels, WeighsColoursAsLuma) {
  const DecodedImage colours{3, 1, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255}};
  EXPECT_EQ(to_channels(colours, 1).pixels, (std::vector<uint8_t>{76, 150, 29}));
  const DecodedImage grey{2, 1, 1, {5, 9}};
  EXPECT_EQ(to_channels(grey, 3).pixels, (std::vector<uint8_t>{5, 5, 5, 9, 9, 9}));
}

}  // namespace
}  // namespace retort::data
