// Image folders and the Tiny-ImageNet layout. PNG files stand in for JPEG: the first bytes decide.
#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

uint8_t ramp_at(size_t i, size_t seed) {
  return static_cast<uint8_t>((seed + 7 * i) % 251);
}

TEST(ImageFolderReader, ReadsTrainAndValidationFoldersInNameOrder) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_image_folder(folder.path(), {"zebra", "ant"});
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.reader, "image folder");
  EXPECT_EQ(raw.name, folder.path().filename().string());
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"ant", "zebra"}));
  EXPECT_TRUE(raw.class_ids.empty());
  EXPECT_EQ(raw.channels, 3);
  EXPECT_EQ(raw.height, 5);
  EXPECT_EQ(raw.width, 6);
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{0, 1}));
  // ant/b.PNG has seed 11: plane 1 of image 1 starts with sample 1 of its interleaved pixels.
  EXPECT_EQ(raw.train.pixels[90], ramp_at(0, 11));
  EXPECT_EQ(raw.train.pixels[90 + 30], ramp_at(1, 11));
  EXPECT_EQ(raw.train.pixels[90 + 30 + 4], ramp_at(13, 11));
  EXPECT_FALSE(raw.published.has_value());
}

TEST(ImageFolderReader, ReadsClassFoldersWithoutParts) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_text(folder / "a/1.png", png(3, 3, 1));
  write_text(folder / "b/deep/1.PNG", png(3, 3, 1));
  write_text(folder / "b/.hidden", "x");
  write_text(folder / ".git/config", "x");
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.channels, 1) << "all files are grey";
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(raw.train.pixels[9 + 4], ramp_at(4, 0));
  EXPECT_EQ(raw.test.size(), 0);
}

TEST(ImageFolderReader, PassesOverLinksThatLeadBack) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_text(folder / "a/1.png", png(3, 3, 1));
  write_text(folder / "b/deep/1.png", png(3, 3, 1));
  std::filesystem::create_directory_symlink("..", folder / "b/deep/up");
  std::filesystem::create_symlink("self", folder / "b/self");
  EXPECT_EQ(read_dataset(folder.path(), {}).train.labels, (std::vector<int64_t>{0, 1}));
}

TEST(ImageFolderReader, OneColourImageMakesAllColour) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_text(folder / "a/1.png", png(3, 3, 1));
  write_text(folder / "b/1.png", png(3, 3, 3));
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.channels, 3);
  EXPECT_EQ(raw.train.pixels[5], raw.train.pixels[9 + 5]);
  ReadOptions options;
  options.greyscale = true;
  EXPECT_EQ(read_dataset(folder.path(), options).channels, 1);
}

TEST(ImageFolderReader, MixedSizesNeedAResolution) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_text(folder / "a/1.png", png(3, 3, 3));
  write_text(folder / "b/1.png", png(9, 5, 3));
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"a/1.png", "3 x 3", "b/1.png", "9 x 5", "--resolution"});
  ReadOptions options;
  options.resolution = 4;
  const RawDataset raw = read_dataset(folder.path(), options);
  EXPECT_EQ(raw.height, 4);
  EXPECT_EQ(raw.width, 4);
  EXPECT_EQ(raw.train.pixels.size(), 2u * 48);
}

TEST(ImageFolderReader, KnowsWnidsAndNamedLists) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  // In the order of the list: tench, English springer, ..., parachute; and one class beside it.
  const std::vector<std::string> wnids = {"n01440764", "n02102040", "n02979186", "n03000684",
                                          "n03028079", "n03394916", "n03417042", "n03425413",
                                          "n03445777", "n03888257", "n01443537"};
  write_image_folder(folder.path(), wnids);
  ReadOptions options;
  options.classes = {"imagenette"};
  const RawDataset raw = read_dataset(folder.path(), options);
  ASSERT_EQ(raw.class_names.size(), 10u);
  EXPECT_EQ(raw.class_names[0], "tench");
  EXPECT_EQ(raw.class_names[9], "parachute");
  EXPECT_EQ(raw.class_ids, std::vector<std::string>(wnids.begin(), wnids.begin() + 10));
  EXPECT_EQ(raw.train.size(), 20);
  options.classes = {"n03888257", "tench", "1"};
  const RawDataset three = read_dataset(folder.path(), options);
  EXPECT_EQ(three.class_names, (std::vector<std::string>{"parachute", "tench", "n01443537"}));
  options.classes = {"imagewoof"};
  expect_error<ConfigError>([&] { read_dataset(folder.path(), options); },
                            {"n02096294", "Australian terrier", "imagewoof", "not in the data"});
}

TEST(TinyImagenetReader, ReadsTheLayout) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_tiny_imagenet(folder.path());
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "tiny-imagenet");
  // Ascending by wnid, whatever the order of wnids.txt: as PyTorch's folders number the classes.
  EXPECT_EQ(raw.class_ids, (std::vector<std::string>{"n01443537", "n02124075"}));
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"goldfish", "Egyptian cat"}));
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(raw.train.pixels[0], ramp_at(0, 2));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{0}));
  EXPECT_EQ(raw.test.pixels[0], ramp_at(0, 3));
  EXPECT_TRUE(raw.notes.empty());
}

TEST(TinyImagenetReader, ReadsValidationImagesInClassFolders) {
  RETORT_NEEDS_PARTS();
  for (const char* below : {"", "images"}) {
    const TempFolder folder;
    write_tiny_imagenet(folder.path());
    std::filesystem::remove_all(folder / "val");
    write_text(folder / "val/n01443537" / below / "val_7.JPEG", png(4, 4, 3, 3));
    write_text(folder / "val/n02124075" / below / "val_2.JPEG", png(4, 4, 3, 5));
    const RawDataset raw = read_dataset(folder.path(), {});
    EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{0, 1}));
    EXPECT_EQ(raw.test.pixels[0], ramp_at(0, 3));
    EXPECT_EQ(raw.test.pixels[48], ramp_at(0, 5));
  }
}

TEST(TinyImagenetReader, TellsClassesOfOneNameApart) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_tiny_imagenet(folder.path());
  write_text(folder / "words.txt", "n01443537\tcrane, a bird\nn02124075\tcrane, a machine\n");
  EXPECT_EQ(read_dataset(folder.path(), {}).class_names,
            (std::vector<std::string>{"crane (n01443537)", "crane (n02124075)"}));
}

TEST(TinyImagenetReader, ReadsTheRealSet) {
  RETORT_NEEDS_PARTS();
  RETORT_NEEDS_DATA();
  ReadOptions options;
  options.classes = {"goldfish", "n02002724"};
  const RawDataset raw = read_dataset(real_data() / "tiny-imagenet-20", options);
  EXPECT_EQ(raw.channels, 3) << "some of its files are grey, most are not";
  EXPECT_EQ(raw.height, 64);
  EXPECT_EQ(raw.train.size(), 500);
  EXPECT_EQ(raw.test.size(), 100);
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"goldfish", "black stork"}));
  // n01443537_0.JPEG: (255, 136, 193) in its first corner, (72, 61, 43) in its last.
  EXPECT_NEAR(raw.train.pixels[0], 255, 2);
  EXPECT_NEAR(raw.train.pixels[4096], 136, 2);
  EXPECT_NEAR(raw.train.pixels[3 * 4096 - 1], 43, 2);
}

}  // namespace
}  // namespace retort::data
