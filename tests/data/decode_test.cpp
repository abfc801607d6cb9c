// What is said of the image files of a set: damaged, turned, deep, of several sizes, too many.
#include "data/decode.h"

#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using namespace tests;

std::string corpus(const std::string& name) {
  return read_text(fs::path(RETORT_SOURCE_DIR) / "tests/fuzz/corpus/image" / name);
}

/// Two classes of three whole images of 6 x 5.
void write_set(const fs::path& folder) {
  for (const char* name : {"Cat", "Dog"})
    for (int i = 0; i < 3; ++i)
      write_text(folder / name / (std::to_string(i) + ".png"), png(6, 5, 3, size_t(i)));
}

void write_damage(const fs::path& folder) {
  write_text(folder / "Cat/666.jpg", "");
  write_text(folder / "Cat/cut.png", png(6, 5, 3).substr(0, 60));
  write_text(folder / "Dog/404.jpg", "<!DOCTYPE html><html>404</html>");
  fs::create_symlink("/nowhere/1.jpg", folder / "Dog/gone.jpg");
}

bool mentions(const std::vector<std::string>& notes, const std::string& text) {
  for (const std::string& note : notes)
    if (note.find(text) != std::string::npos) return true;
  return false;
}

TEST(DamagedImages, AreListedTogether) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_set(folder.path());
  write_damage(folder.path());
  expect_error<DataError>(
      [&] { read_dataset(folder.path(), {}); },
      {"4 of 10 cannot be read", "Cat/666.jpg': an empty file",
       "Cat/cut.png': ", "Dog/404.jpg': a web page", "Dog/gone.jpg': it is not", "--skip-damaged"});
}

TEST(DamagedImages, AreListedTogetherWhereTheyAreResizedToo) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_set(folder.path());
  write_damage(folder.path());
  ReadOptions options;
  options.resolution = 4;
  expect_error<DataError>([&] { read_dataset(folder.path(), options); }, {"4 of 10 cannot be"});
}

TEST(DamagedImages, AreListedUpToTwenty) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_set(folder.path());
  for (int i = 10; i < 33; ++i) write_text(folder / "Cat" / (std::to_string(i) + ".jpg"), "");
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"23 of 29", "Cat/10.jpg", "Cat/29.jpg", "and 3 more"});
}

TEST(DamagedImages, ArePassedOverWhereThatIsAsked) {
  RETORT_NEEDS_PARTS();
  const TempFolder whole, damaged;
  write_set(whole.path());
  write_set(damaged.path());
  write_damage(damaged.path());
  ReadOptions options;
  options.skip_damaged = true;
  const RawDataset wanted = read_dataset(whole.path(), options),
                   found = read_dataset(damaged.path(), options);
  EXPECT_EQ(found.train.pixels, wanted.train.pixels);
  EXPECT_EQ(found.train.labels, wanted.train.labels);
  EXPECT_TRUE(mentions(found.notes, "passed over 4 of 10 image files"));
  EXPECT_TRUE(mentions(found.notes, "Cat/666.jpg"));
  EXPECT_TRUE(wanted.notes.empty());
}

TEST(DamagedImages, OfAWholeTestPartAreRefused) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_set(folder / "train");
  write_text(folder / "test/Cat/1.png", "");
  ReadOptions options;
  options.skip_damaged = true;
  expect_error<DataError>([&] { read_dataset(folder.path(), options); }, {"test part"});
}

TEST(ImageNotes, CountWhatWasMet) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_set(folder.path());
  for (const char* name : {"exif3.png", "deep_l.png", "cmyk.jpg", "animated.png"})
    write_text(folder / "Cat" / name, corpus(name));
  const std::vector<std::string> notes = read_dataset(folder.path(), {}).notes;
  EXPECT_TRUE(mentions(notes, "1 image is turned as EXIF's orientation says"));
  EXPECT_TRUE(mentions(notes, "1 image is in CMYK"));
  EXPECT_TRUE(mentions(notes, "1 image has 16 bits a sample: the high byte is kept"));
  EXPECT_TRUE(mentions(notes, "of 65535, so that 16 of 256 levels are in use"));
  EXPECT_TRUE(mentions(notes, "1 image is an animation"));
  ReadOptions options;
  options.upright = false;
  EXPECT_TRUE(mentions(read_dataset(folder.path(), options).notes, "--exif apply turns them"));
}

TEST(ImageNotes, FullRangeNeedsNoAdvice) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_text(folder / "a/1.png", corpus("deep_rgb.png"));
  write_text(folder / "b/1.png", corpus("deep_rgba.png"));
  const std::vector<std::string> notes = read_dataset(folder.path(), {}).notes;
  EXPECT_TRUE(mentions(notes, "2 images have 16 bits a sample: the high byte is kept"));
  EXPECT_FALSE(mentions(notes, "levels"));
}

TEST(EvalCrop, IsForTestImagesAlone) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"a", "b"}) {
    write_text(folder / "train" / name / "1.png", png(20, 16, 3));
    write_text(folder / "test" / name / "1.png", png(20, 16, 3));
  }
  const DecodedImage image = decode_image(png(20, 16, 3), "x");
  const auto first_of = [](const RawImages& part, const RawDataset& raw) {
    const auto size = part.pixels.begin() + raw.channels * raw.height * raw.width;
    return std::vector<uint8_t>(part.pixels.begin(), size);
  };
  const auto planes = [](const DecodedImage& square) {
    std::vector<uint8_t> out;
    for (size_t c = 0; c < 3; ++c)
      for (size_t i = c; i < square.pixels.size(); i += 3) out.push_back(square.pixels[i]);
    return out;
  };
  ReadOptions options;
  options.resolution = 14;
  options.fit = Fit::kEvalCrop;
  const RawDataset raw = read_dataset(folder.path(), options);
  EXPECT_EQ(first_of(raw.train, raw), planes(to_square(image, 14)));
  EXPECT_EQ(first_of(raw.test, raw), planes(to_square(image, 14, Fit::kEvalCrop)));
  const RawDataset one_part = read_dataset(folder / "train", options);
  EXPECT_EQ(first_of(one_part.train, one_part), planes(to_square(image, 14, Fit::kEvalCrop)));
  EXPECT_TRUE(mentions(one_part.notes, "eval-crop is applied to all images"));
  options.fit = Fit::kSquash;
  const RawDataset squashed = read_dataset(folder.path(), options);
  EXPECT_EQ(first_of(squashed.train, squashed), planes(to_square(image, 14, Fit::kSquash)));
}

TEST(ImageMemory, IsCountedBeforeItIsTaken) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"a", "b"}) {
    write_text(folder / name / "0.png", png(8, 8, 3));
    for (int i = 1; i < 1000; ++i)
      fs::create_hard_link(folder / name / "0.png", folder / name / (std::to_string(i) + ".png"));
  }
  ReadOptions options;
  options.resolution = 65536;  // 2000 x 3 x 65536^2 bytes
  expect_error<ResourceError>(
      [&] { read_dataset(folder.path(), options); },
      {"2000 images of 65536 x 65536", "25.8 TB", "retort pack", "--resolution", "--classes"});
}

TEST(ImageMemory, SizesAreComparedFirst) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (int i = 0; i < 300; ++i)
    write_text(folder / "a" / (std::to_string(i) + ".png"), png(8, 8, 3));
  write_text(folder / "b/panorama.png", png(4000, 3000, 3));
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"8 x 8", "b/panorama.png' is 4000 x 3000", "--resolution"});
}

}  // namespace
}  // namespace retort::data
