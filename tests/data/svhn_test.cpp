// SVHN's MATLAB files.
#ifdef RETORT_WITH_MATIO
#include <gtest/gtest.h>
#include <matio.h>

#include "data/layout_files.h"
#include "data/pack.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

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
  EXPECT_FALSE(raw.mirrorable);
  PackInput input;
  input.data.data = folder.path().string();
  input.out = folder / "set.pack";
  pack(input);
  EXPECT_NE(read_text(input.out).find(R"("mirrorable":"no")"), std::string::npos);
  input.data.data = input.out.string();
  EXPECT_FALSE(open_dataset(input.data).mirrorable);
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
}  // namespace
}  // namespace retort::data
#endif
