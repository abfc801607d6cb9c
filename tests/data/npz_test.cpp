// General .npz files, downsampled ImageNet's batches, and SVHN's MATLAB files.
#include "data/npz.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/imagenet_classes.h"
#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"
#ifdef RETORT_WITH_MATIO
#include <matio.h>
#endif

namespace retort::data {
namespace {

using namespace tests;

TEST(NpzReader, ReadsChannelsLastAndFirstAlike) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  // One image [2, 2, 3] counting up; the other file holds the same as planes.
  const std::string last =
      npy_bytes(DType::kU8, {2, 1, 2, 3}, std::string("\0\1\2\3\4\5abcdef", 12));
  const std::string first =
      npy_bytes(DType::kU8, {2, 3, 1, 2}, std::string("\0\3\1\4\2\5adbecf", 12));
  write_npz(folder / "last.npz", {{"x_train", last}, {"y_train", labels_npy({1, 0})}});
  write_npz(folder / "first.npz", {{"images", first}, {"labels", labels_npy({1, 0})}});
  const RawDataset a = read_dataset(folder / "last.npz", {});
  const RawDataset b = read_dataset(folder / "first.npz", {});
  EXPECT_EQ(a.train.pixels, b.train.pixels);
  EXPECT_EQ(a.channels, 3);
  EXPECT_EQ(a.height, 1);
  EXPECT_EQ(b.width, 2);
  EXPECT_EQ(a.train.labels, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(a.name, "last");
  EXPECT_EQ(a.test.size(), 0);
}

TEST(NpzReader, ReadsGreyImagesAndTestPart) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_npz(folder / "set.npz", {{"x_train", bytes_npy({3, 4, 5})},
                                 {"y_train", labels_npy({0, 1, 2})},
                                 {"x_test", bytes_npy({1, 4, 5}, 9)},
                                 {"y_test", npy_bytes(DType::kU8, {1, 1}, "\2")}});
  const RawDataset raw = read_dataset(folder / "set.npz", {});
  EXPECT_EQ(raw.channels, 1);
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{2}));
  EXPECT_EQ(raw.test.pixels[0], 9);
}

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

#ifdef RETORT_WITH_MATIO
void write_mat(const std::filesystem::path& path, std::vector<uint8_t> labels, size_t images) {
  std::filesystem::create_directories(path.parent_path());
  mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  std::string pixels = ramp(images * 3072);
  size_t x_size[4] = {32, 32, 3, images}, y_size[2] = {labels.size(), 1};
  matvar_t* x = Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, x_size, pixels.data(), 0);
  matvar_t* y = Mat_VarCreate("y", MAT_C_UINT8, MAT_T_UINT8, 2, y_size, labels.data(), 0);
  Mat_VarWrite(file, x, MAT_COMPRESSION_ZLIB);
  Mat_VarWrite(file, y, MAT_COMPRESSION_ZLIB);
  Mat_VarFree(x);
  Mat_VarFree(y);
  Mat_Close(file);
}

TEST(SvhnReader, ReadsMatlabFiles) {
  const TempFolder folder;
  write_mat(folder / "train_32x32.mat", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10);
  write_mat(folder / "test_32x32.mat", {10, 3}, 2);
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "svhn");
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 0}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{0, 3}));
  // Column-major [row, column, channel, image]: row 2, column 5, channel 1 of image 1.
  EXPECT_EQ(raw.train.pixels[3072 + 1024 + 2 * 32 + 5], (2 + 32 * 5 + 1024 + 3072) * 7 % 251);
  EXPECT_DOUBLE_EQ(raw.published->mean[2], 0.4728);
}

TEST(SvhnReader, RefusesDamagedFiles) {
  const TempFolder folder;
  write_mat(folder / "train_32x32.mat", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10);
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); }, {"test_32x32.mat", "missing"});
  write_text(folder / "test_32x32.mat", "no MATLAB file");
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"test_32x32.mat", "not a MATLAB file"});
  write_mat(folder / "test_32x32.mat", {1, 11}, 2);
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"test_32x32.mat", "label 11 in record 1", "1 to 10"});
  write_mat(folder / "test_32x32.mat", {1, 2, 3}, 2);
  expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                          {"test_32x32.mat", "3 labels for 2 images"});
}
#endif

}  // namespace
}  // namespace retort::data
