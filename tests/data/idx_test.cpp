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
    EXPECT_FALSE(raw.published.has_value()) << "these are not MNIST's images";
    ASSERT_EQ(raw.notes.size(), 1u);
    EXPECT_NE(raw.notes[0].find("mean and deviation are computed"), std::string::npos);
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
    EXPECT_FALSE(raw.published.has_value());
  }
}

/// As torchvision has EMNIST on disk; `labels` for both parts.
void write_prefixed(const std::filesystem::path& folder, const std::string& prefix,
                    const std::vector<int>& labels) {
  for (const char* part : {"train", "test"}) {
    write_text(folder / (prefix + part + "-images-idx3-ubyte"),
               idx_images(static_cast<uint32_t>(labels.size()), 4, 3));
    write_text(folder / (prefix + part + "-labels-idx1-ubyte"), idx_labels(labels));
  }
}

std::vector<int> labels_from(int first, int last) {
  std::vector<int> labels;
  for (int label = first; label <= last; ++label) labels.push_back(label);
  return labels;
}

TEST(IdxReader, ReadsEmnistsSplits) {
  const TempFolder folder;
  write_prefixed(folder / "EMNIST/raw", "emnist-letters-", labels_from(1, 26));
  const RawDataset letters = read_dataset(folder / "EMNIST/raw", {});
  EXPECT_EQ(letters.name, "emnist");
  ASSERT_EQ(letters.class_names.size(), 26u);
  EXPECT_EQ(letters.class_names[0], "A");
  EXPECT_EQ(letters.class_names[25], "Z");
  EXPECT_EQ(letters.train.labels[0], 0);
  EXPECT_EQ(letters.test.labels[25], 25);
  write_prefixed(folder / "EMNIST/raw", "emnist-balanced-", labels_from(0, 46));
  expect_error<DataError>(
      [&] { read_dataset(folder.path(), {}); },
      {"2 sets", "'emnist-balanced-train", "'emnist-letters-train", "one of its files"});
  const RawDataset balanced =
      read_dataset(folder / "EMNIST/raw/emnist-balanced-train-images-idx3-ubyte", {});
  ASSERT_EQ(balanced.class_names.size(), 47u);
  // EMNIST's own mapping file: 35 is Z (90), 36 a (97), 38 d (100), 44 q (113), 46 t (116).
  EXPECT_EQ(balanced.class_names[35], "Z");
  EXPECT_EQ(balanced.class_names[36], "a");
  EXPECT_EQ(balanced.class_names[38], "d");
  EXPECT_EQ(balanced.class_names[44], "q");
  EXPECT_EQ(balanced.class_names[46], "t");
}

TEST(IdxReader, ReadsAnyNumberOfClassesUnderMnistsNames) {
  const TempFolder folder;
  write_mnist(folder.path());
  write_text(folder / "train-labels-idx1-ubyte", idx_labels(labels_from(1, 10)));
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.class_names.front(), "1");
  EXPECT_EQ(raw.class_names.back(), "10");
  EXPECT_EQ(raw.train.labels[0], 0);
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{6, 1}));
}

TEST(IdxReader, ReadsQmnistsIntegers) {
  const TempFolder folder;
  for (const char* part : {"train", "test"}) {
    write_text(folder / (std::string("qmnist-") + part + "-images-idx3-ubyte"),
               idx_images(3, 4, 3));
    std::string labels = big_endian(0xC02) + big_endian(3) + big_endian(8);
    for (const uint32_t digit : {2u, 0u, 1u}) {
      labels += big_endian(digit);
      for (uint32_t column = 0; column < 7; ++column) labels += big_endian(0x10000 + column);
    }
    write_text(folder / (std::string("qmnist-") + part + "-labels-idx2-int"), labels);
  }
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "qmnist");
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{2, 0, 1}));
}

TEST(IdxReader, SaysWhichOfSeveralFoldersItTook) {
  const TempFolder folder;
  write_mnist(folder / "MNIST/raw");
  write_mnist(folder / "KMNIST/raw");
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "mnist");
  ASSERT_FALSE(raw.notes.empty());
  EXPECT_EQ(raw.notes[0],
            "MNIST/raw/ is read; KMNIST/raw/ is there too: point to it to have it read");
  EXPECT_EQ(read_dataset(folder / "KMNIST", {}).name, "kmnist");
  EXPECT_EQ(read_dataset(folder / "KMNIST", {}).class_names[3], "tsu");
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
  EXPECT_TRUE(raw.notes.empty());
  ASSERT_TRUE(raw.published.has_value());
  EXPECT_EQ(raw.published->mean[0], 0.1307);
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
