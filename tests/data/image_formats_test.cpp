// Every kind of image file against what Pillow 9.4 reads in it (tests/fuzz/make_corpus.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "support/support.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using tests::expect_error;

const fs::path kTests = fs::path(RETORT_SOURCE_DIR) / "tests";

std::string corpus(const std::string& name) {
  return tests::read_text(kTests / "fuzz/corpus/image" / name);
}

bool has_part_for(const std::string& ending) {
  if (ending == ".jpg") return jpeg_available();
  if (ending == ".webp") return webp_available();
  if (ending == ".gif") return gif_available();
  if (ending == ".tif") return tiff_available();
  return true;
}

/// Inverse transforms and colour conversions round differently; the others are exact.
int tolerance(const fs::path& name) {
  const bool lossy = name == "lossy.webp" || name == "jpeg.tif" || name.extension() == ".jpg";
  return lossy ? 3 : name == "cmyk.tif" ? 1 : 0;
}

TEST(ImageFormats, HoldWhatPillowReads) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kTests / "data/decoded")) {
    const fs::path name = entry.path().stem();
    if (!has_part_for(name.extension())) continue;
    SCOPED_TRACE(name.string());
    ++seen;
    const DecodedImage image = decode_image(corpus(name.string()), name.string());
    const DecodedImage wanted = decode_image(tests::read_text(entry.path()), "wanted");
    ASSERT_EQ(image.width, wanted.width);
    ASSERT_EQ(image.height, wanted.height);
    const DecodedImage found = to_channels(image, wanted.channels);
    ASSERT_EQ(found.pixels.size(), wanted.pixels.size());
    int apart = 0;
    for (size_t i = 0; i < found.pixels.size(); ++i)
      apart = std::max(apart, std::abs(int{found.pixels[i]} - int{wanted.pixels[i]}));
    EXPECT_LE(apart, tolerance(name));
    const DecodedImage header = decode_header(corpus(name.string()), name.string());
    EXPECT_EQ(header.width, image.width);
    EXPECT_EQ(header.height, image.height);
    EXPECT_EQ(header.channels, image.channels);
    EXPECT_TRUE(header.pixels.empty());
  }
  EXPECT_GT(seen, 20);
}

TEST(ImageFormats, KeepGreyGrey) {
  RETORT_NEEDS_PARTS();
  for (const char* name : {"l.jpg", "l.png", "deep_l.png", "deep_la.png", "bytes.pgm", "text.pbm"})
    EXPECT_EQ(decode_image(corpus(name), name).channels, 1) << name;
  for (const char* name : {"cmyk.jpg", "p.png", "deep_rgba.png", "l.bmp"})
    EXPECT_EQ(decode_image(corpus(name), name).channels, 3) << name;
  if (tiff_available()) {
    EXPECT_EQ(decode_image(corpus("i16.tif"), "i16.tif").channels, 1);
  }
}

TEST(ImageFormats, SayWhatWasMet) {
  RETORT_NEEDS_PARTS();
  for (const char* name : {"cmyk.jpg", "ycck.jpg", "plain_cmyk.jpg"})
    EXPECT_TRUE(decode_image(corpus(name), name).facts.cmyk) << name;
  // 29 x 977 modulo 4096 and so on: the largest of the samples that make_corpus.py writes.
  int64_t largest = 0;
  for (int64_t i = 0; i < 30; ++i) largest = std::max(largest, i * 977 % 4096);
  EXPECT_EQ(decode_image(corpus("deep_l.png"), "deep_l.png").facts.largest, largest);
  EXPECT_EQ(decode_image(corpus("l.png"), "l.png").facts.largest, 0);
  EXPECT_TRUE(decode_image(corpus("animated.png"), "animated.png").facts.more_frames);
  EXPECT_FALSE(decode_image(corpus("rgb.png"), "rgb.png").facts.more_frames);
  for (const char* name : {"animated.webp", "animated.gif", "pages.tif"}) {
    if (has_part_for(fs::path(name).extension())) {
      EXPECT_TRUE(decode_image(corpus(name), name).facts.more_frames) << name;
    }
  }
  if (gif_available()) {
    EXPECT_FALSE(decode_image(corpus("p.gif"), "p.gif").facts.more_frames);
  }
}

TEST(ImageFormats, AreTurnedUprightOrLeft) {
  RETORT_NEEDS_PARTS();
  // The corpus holds images of 6 x 5; orientations 5 to 8 lie on their side.
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string name = "exif" + std::to_string(orientation) + ".png";
    const DecodedImage upright = decode_image(corpus(name), name);
    EXPECT_EQ(upright.facts.orientation, orientation);
    EXPECT_EQ(upright.width, orientation < 5 ? 6 : 5);
    const DecodedImage stored = decode_image(corpus(name), name, /*upright=*/false);
    EXPECT_EQ(stored.width, 6);
    EXPECT_EQ(stored.pixels, decode_image(corpus("rgb.png"), "rgb.png").pixels);
  }
}

TEST(ImageFormats, OtherKindsAreNamed) {
  const std::pair<const char*, std::string> kinds[] = {
      {"HEIC", std::string("\0\0\0\x18"
                           "ftypheic",
                           12)},
      {"AVIF", std::string("\0\0\0\x18"
                           "ftypavif",
                           12)},
      {"JPEG 2000", "\xff\x4f\xff\x51"},
      {"web page", "<!DOCTYPE html><html>404</html>"},
      {"web page", "\n<HTML><body>"},
      {"DICOM", std::string(128, '\0').append("DICM")},
      {"Git LFS", "version https://git-lfs.github.com/spec/v1"},
      {"empty file", ""},
      {"zero bytes", std::string(64, '\0')},
      {"no image of a known kind", "hello"}};
  for (const auto& [name, bytes] : kinds)
    expect_error<DataError>([&] { decode_image(bytes, "dir/x.jpg"); },
                            {"dir/x.jpg", name, "JPEG, PNG, WebP", "convert"});
}

TEST(ImageFormats, RefuseWhatTheirReadersCannot) {
  std::string bmp = corpus("l.bmp");
  bmp[30] = 1;  // run-length coded
  expect_error<DataError>([&] { decode_image(bmp, "a.bmp"); }, {"a.bmp", "compression 1"});
  expect_error<DataError>([] { decode_image("P5 3 3 255\n12345678", "a.pgm"); },
                          {"a.pgm", "3 x 3", "cut off"});
  expect_error<DataError>([] { decode_image("P6 30001 1 255\n", "a.ppm"); }, {"30001 x 1"});
  expect_error<DataError>([] { decode_image("P2 2 2 9\n1 2 3 77\n", "a.pgm"); }, {"a.pgm"});
}

}  // namespace
}  // namespace retort::data
