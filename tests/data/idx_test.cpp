// The MNIST family's idx files.
#include "data/idx.h"

#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

TEST(IdxReader, ReadsBothSpellings) {
  for (const char* separator : {"-", "."}) {
    const TempFolder folder;
    write_mnist(folder.path(), separator);
    const RawDataset raw = read_dataset(folder.path(), {});
    EXPECT_EQ(raw.name, "mnist");
    EXPECT_EQ(raw.channels, 1);
    EXPECT_EQ(raw.height, 4);
    EXPECT_EQ(raw.width, 3);
    EXPECT_EQ(raw.train.size(), 10);
    EXPECT_EQ(raw.train.pixels[12], 84);
    EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{7, 2}));
    EXPECT_DOUBLE_EQ(raw.published->deviation[0], 0.3081);
  }
}

TEST(IdxReader, TellsFashionByTheFolder) {
  const TempFolder folder;
  write_mnist(folder / "FashionMNIST/raw");
  write_mnist(folder / "fashion-mnist");
  for (const auto& path : {folder.path(), folder / "FashionMNIST/raw", folder / "FashionMNIST",
                           folder / "fashion-mnist"}) {
    const RawDataset raw = read_dataset(path, {});
    EXPECT_EQ(raw.name, "fashion-mnist");
    EXPECT_EQ(raw.class_names[9], "ankle boot");
    EXPECT_DOUBLE_EQ(raw.published->mean[0], 0.2861);
  }
}

TEST(IdxReader, RefusesDamagedHeaders) {
  const std::string good = idx_images(2, 3, 3);
  expect_error<DataError>([&] { parse_idx(good.substr(0, 9), "f", 3); },
                          {"f", "9", "16", "header"});
  expect_error<DataError>([&] { parse_idx(good, "f", 1); }, {"f", "first four bytes"});
  expect_error<DataError>([&] { parse_idx(good + "x", "f", 3); }, {"f", "19", "18"});
  const std::string huge = big_endian(0x803) + std::string(12, '\xff');
  expect_error<DataError>([&] { parse_idx(huge, "f", 3); }, {"f", "4294967295", "dimension"});
  const std::string none = big_endian(0x801) + big_endian(0);
  expect_error<DataError>([&] { parse_idx(none, "f", 1); }, {"f", "size 0 in dimension 0"});
}

TEST(IdxReader, ReadsTheRealSet) {
  RETORT_NEEDS_DATA();
  RETORT_NEEDS_PARTS();
  const RawDataset raw = read_dataset(real_data() / "mnist", {});
  EXPECT_EQ(raw.name, "mnist");
  EXPECT_EQ(raw.train.size(), 60000);
  EXPECT_EQ(raw.test.size(), 10000);
  EXPECT_EQ(std::vector<int64_t>(raw.train.labels.begin(), raw.train.labels.begin() + 5),
            (std::vector<int64_t>{5, 0, 4, 1, 9}));
  EXPECT_EQ(raw.test.labels[0], 7);
  double sum = 0;
  for (const uint8_t value : raw.train.pixels) sum += value;
  EXPECT_NEAR(sum / 255 / static_cast<double>(raw.train.pixels.size()), 0.1307, 5e-5);
}

}  // namespace
}  // namespace retort::data
