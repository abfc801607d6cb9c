// Downsampled ImageNet's batches, and the numbering of its classes.
#include "data/imagenet_classes.h"

#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

TEST(ImagenetClasses, AreInTheUsualOrder) {
  EXPECT_EQ(imagenet_wnids().size(), 1000u);
  EXPECT_EQ(imagenet_wnids()[0], "n01440764");
  EXPECT_EQ(imagenet_wnids()[999], "n15075141");
  EXPECT_EQ(imagenet_index("n02102040"), 217);
  EXPECT_EQ(imagenet_index("n00000001"), std::nullopt);
  EXPECT_EQ(imagenet_name(701), "parachute");
  EXPECT_EQ(imagenet_name(1), "n01443537");
  EXPECT_EQ(imagenet_indices_of_development_kit()[4], 217);  // its class 5 is English springer
  for (const ClassList& list : class_lists()) EXPECT_EQ(list.imagenet_indices.size(), 10u);
}

// Every batch holds two images: of class 449 (tench) and of class 5 (English springer).
void write_imagenet(const std::filesystem::path& folder) {
  const std::vector<std::pair<std::string, std::string>> arrays = {
      {"data", bytes_npy({2, 48})}, {"labels", labels_npy({5, 449})}, {"mean", bytes_npy({48})}};
  for (int i = 1; i <= 10; ++i)
    write_npz(folder / ("train_data_batch_" + std::to_string(i) + ".npz"), arrays);
  write_npz(folder / "val_data.npz", arrays);
}

TEST(ImagenetNpzReader, TakesAskedClassesInTheUsualNumbering) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_imagenet(folder.path());
  ReadOptions options;
  options.classes = {"tench", "217"};
  const RawDataset raw = read_dataset(folder.path(), options);
  EXPECT_EQ(raw.height, 4);
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"tench", "English springer"}));
  EXPECT_EQ(raw.train.size(), 20);
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(raw.test.pixels[48], 48 * 7 % 251);
  options.classes = {"imagenette"};
  expect_error<DataError>([&] { read_dataset(folder.path(), options); },
                          {"cassette player", "no training images"});
}

TEST(ImagenetNpzReader, NamesTheMissingBatch) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_imagenet(folder.path());
  std::filesystem::remove(folder / "train_data_batch_7.npz");
  ReadOptions options;
  options.classes = {"0", "217"};
  expect_error<DataError>([&] { read_dataset(folder.path(), options); },
                          {"train_data_batch_7.npz", "missing"});
}

TEST(ImagenetNpzReader, RefusesLabelZero) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_imagenet(folder.path());
  write_npz(folder / "val_data.npz",
            {{"data", bytes_npy({2, 48})}, {"labels", labels_npy({5, 0})}});
  ReadOptions options;
  options.classes = {"0", "217"};
  expect_error<DataError>([&] { read_dataset(folder.path(), options); },
                          {"val_data.npz", "label 0 in record 1", "1 to 1000"});
}

}  // namespace
}  // namespace retort::data
