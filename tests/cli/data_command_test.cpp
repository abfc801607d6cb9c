// retort data on image files: pictures, threads, damage and size.
#include <gtest/gtest.h>

#include <set>

#include "cli/invoke.h"
#include "data/layout_files.h"
#include "retort/data/image_file.h"
#include "support/support.h"

namespace retort::tests {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// `each` training images of one grey level a class, ascending by 8, and a test image.
void write_levels(const std::filesystem::path& folder, int each) {
  const auto level = [](int value) {
    const std::vector<uint8_t> pixels(8 * 8, static_cast<uint8_t>(value));
    return data::encode_png(pixels.data(), 8, 8, 1);
  };
  for (const char* name : {"a", "b"}) {
    for (int i = 0; i < each; ++i)
      write_text(folder / "train" / name / (std::to_string(100 + i) + ".png"), level(8 * i + 1));
    write_text(folder / "test" / name / "0.png", level(0));
  }
}

TEST(DataCommand, PicturesAreSpreadOverTheClass) {
  RETORT_NEEDS_PARTS();
  const TempFolder place;
  write_levels(place / "set", 30);
  const std::string grid = place / "grid.png";
  ASSERT_EQ(call({"data", place / "set", "--grid", grid}).code, 0);
  const data::DecodedImage picture = data::decode_image(read_text(grid), grid);
  std::set<int> shown;  // no other pixels of a grid of grey images are 1 above a multiple of 8
  for (const uint8_t pixel : picture.pixels)
    if (pixel % 8 == 1) shown.insert(pixel / 8);
  for (const int i : {0, 3, 6, 9, 12, 15, 18, 21, 24, 27}) EXPECT_TRUE(shown.count(i)) << i;
  EXPECT_FALSE(shown.count(1));
}

TEST(DataCommand, FarMoreThreadsThanProcessorsAreNoted) {
  RETORT_NEEDS_PARTS();
  const TempFolder place;
  write_levels(place / "set", 2);
  const Answer many = call({"data", place / "set", "--threads", "96"});
  EXPECT_EQ(many.code, 0) << many.err;
  EXPECT_TRUE(contains(many.err, "--threads 96 on")) << many.err;
  const Answer one = call({"data", place / "set", "--threads", "1"});
  EXPECT_EQ(one.err, "");
  EXPECT_EQ(one.out, many.out);
}

TEST(DataCommand, SkipsDamagedImagesWhereThatIsAsked) {
  RETORT_NEEDS_PARTS();
  const TempFolder place;
  write_levels(place / "set", 3);
  const Answer whole = call({"data", place / "set", "--json"});
  write_text(place / "set/train/a/bad.jpg", "<html>404</html>");
  const Answer refused = call({"data", place / "set"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_TRUE(contains(refused.err, "1 of 9 cannot be read")) << refused.err;
  EXPECT_TRUE(contains(refused.err, "--skip-damaged")) << refused.err;
  const Answer skipped = call({"data", place / "set", "--skip-damaged"});
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_TRUE(contains(skipped.out, "passed over 1 of 9 image files")) << skipped.out;
}

TEST(DataCommand, ResizeIsPartOfTheDataAndNeedsASize) {
  RETORT_NEEDS_PARTS();
  const TempFolder place;
  for (const char* part : {"train", "test"})
    for (const char* name : {"a", "b"})
      write_text(place / "set" / part / name / "0.png", png(24, 16, 3));
  const auto hash = [&](const std::string& resize) {
    const Answer answer =
        call({"data", place / "set", "--resolution", "14", "--resize", resize, "--json"});
    EXPECT_EQ(answer.code, 0) << answer.err;
    const size_t at = answer.out.find("\"hash\": ");
    return answer.out.substr(at, 26);
  };
  const std::set<std::string> hashes{hash("crop"), hash("eval-crop"), hash("squash")};
  EXPECT_EQ(hashes.size(), 3u);
  const Answer refused = call({"data", place / "set", "--resize", "squash"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(contains(refused.err, "--resize together with --resolution")) << refused.err;
}

}  // namespace
}  // namespace retort::tests
