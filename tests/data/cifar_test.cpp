// CIFAR-10 and CIFAR-100, binary files and Python pickles.
#include <gtest/gtest.h>

#include "data/cifar_binary.h"
#include "data/cifar_pickle.h"
#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

std::string corpus(const std::string& name) {
  return read_text(std::string(RETORT_SOURCE_DIR) + "/tests/fuzz/corpus/cifar_pickle/" + name);
}

// A batch as Python 2 pickled it: protocol 2, byte strings, numpy's _reconstruct with its state.
std::string python2_batch(const std::vector<int>& labels, const std::string& key) {
  const auto short_text = [](const std::string& text) {
    return "U" + std::string(1, static_cast<char>(text.size())) + text;
  };
  const auto little = [](size_t value) {
    return std::string{static_cast<char>(value), static_cast<char>(value >> 8),
                       static_cast<char>(value >> 16), static_cast<char>(value >> 24)};
  };
  std::string pixels;
  for (size_t i = 0; i < labels.size(); ++i) pixels += ramp(3072, i);
  std::string bytes = "\x80\x02}q\x01(" + short_text("data");
  bytes += "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n";
  bytes += std::string("K\0\x85", 3) + short_text("b") + "\x87R";
  bytes += std::string("(K\x01", 3) + "J" + little(labels.size()) + "J" + little(3072) + "\x86";
  bytes += "cnumpy\ndtype\n" + short_text("u1") + std::string("K\0K\x01\x87R", 6);
  bytes += std::string("(K\x03", 3) + short_text("|") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff";
  bytes += std::string("K\0tb", 4) + "\x89T" + little(pixels.size()) + pixels + "tb";
  bytes += short_text(key) + "](";
  for (const int label : labels) bytes += "K" + std::string(1, static_cast<char>(label));
  return bytes + "eu.";
}

std::string python2_names(const std::string& key, int count) {
  std::string bytes = "\x80\x02}U" + std::string(1, static_cast<char>(key.size())) + key + "](";
  for (int i = 0; i < count; ++i) {
    const std::string name = "name" + std::to_string(i);
    bytes += "U" + std::string(1, static_cast<char>(name.size())) + name;
  }
  return bytes + "es.";
}

void write_cifar10_python(const std::filesystem::path& folder) {
  for (int i = 1; i <= 5; ++i)
    write_text(folder / ("data_batch_" + std::to_string(i)),
               python2_batch({2 * i - 2, 2 * i - 1}, "labels"));
  write_text(folder / "test_batch", python2_batch({9, 0, 5}, "labels"));
  write_text(folder / "batches.meta", python2_names("label_names", 10));
}

TEST(CifarReader, ReadsBinaryFolderAndItsParent) {
  const TempFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  for (const auto& path : {folder.path(), folder / "cifar-10-batches-bin"}) {
    const RawDataset raw = read_dataset(path, {});
    EXPECT_EQ(raw.name, "cifar10");
    EXPECT_EQ(raw.reader, "CIFAR-10 binary");
    EXPECT_EQ(raw.class_names[3], "cat");
    EXPECT_EQ(raw.channels * raw.height * raw.width, 3072);
    EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{9, 0, 5}));
    EXPECT_EQ(raw.train.pixels[3072 + 10], 71);  // second record: (1 + 7 * 10) % 251
    EXPECT_DOUBLE_EQ(raw.published->mean[1], 0.4822);
  }
}

TEST(CifarReader, ReadsFineAndCoarseLabels) {
  const TempFolder folder;
  write_cifar100(folder.path());
  const RawDataset fine = read_dataset(folder.path(), {});
  EXPECT_EQ(fine.class_names.size(), 100u);
  EXPECT_EQ(fine.class_names[42], "fine42");
  EXPECT_EQ(fine.test.labels, (std::vector<int64_t>{99, 1}));
  ReadOptions options;
  options.coarse_labels = true;
  const RawDataset coarse = read_dataset(folder.path(), options);
  EXPECT_EQ(coarse.class_names.size(), 20u);
  EXPECT_EQ(coarse.train.labels[41], 1);
  EXPECT_EQ(coarse.test.labels, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(coarse.train.pixels, fine.train.pixels);
}

TEST(CifarReader, RefusesCoarseLabelsOfCifar10) {
  const TempFolder folder;
  write_cifar10(folder.path());
  ReadOptions options;
  options.coarse_labels = true;
  expect_error<ConfigError>([&] { read_dataset(folder.path(), options); },
                            {"CIFAR-10 binary has one set of labels", "CIFAR-100"});
}

TEST(CifarReader, PicklesHoldTheSameAsBinary) {
  const TempFolder binary, python;
  write_cifar10(binary.path());
  write_cifar10_python(python / "cifar-10-batches-py");
  const RawDataset a = read_dataset(binary.path(), {}), b = read_dataset(python.path(), {});
  EXPECT_EQ(b.name, "cifar10");
  EXPECT_EQ(a.train.pixels, b.train.pixels);
  EXPECT_EQ(a.train.labels, b.train.labels);
  EXPECT_EQ(a.test.pixels, b.test.pixels);
  EXPECT_EQ(a.test.labels, b.test.labels);
  EXPECT_EQ(b.class_names[3], "name3");
}

TEST(CifarReader, ReadsPicklesOfCifar100) {
  const TempFolder folder;
  const auto place = folder / "cifar-100-python";
  write_text(place / "train", python2_batch(labels_below(100), "fine_labels"));
  write_text(place / "test", python2_batch({4}, "fine_labels"));
  write_text(place / "meta", python2_names("fine_label_names", 100));
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "cifar100");
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{4}));
  ReadOptions options;
  options.coarse_labels = true;
  expect_error<DataError>([&] { read_dataset(folder.path(), options); },
                          {"meta", "coarse_label_names"});
}

// Written by Python 3 with NumPy (tests/fuzz/make_corpus.py).
TEST(CifarReader, ReadsPicklesOfPython3) {
  for (const char* name : {"batch2.pkl", "batch3.pkl", "batch4.pkl"}) {
    SCOPED_TRACE(name);
    RawImages images;
    parse_cifar_pickle(corpus(name), name, CifarLabels::kTen, images);
    EXPECT_EQ(images.labels, (std::vector<int64_t>{7}));
    ASSERT_EQ(images.pixels.size(), 3072u);
    for (size_t i = 0; i < 3072; ++i) ASSERT_EQ(images.pixels[i], i * 7 % 251);
  }
}

TEST(CifarReader, RefusesDamagedPickles) {
  RawImages images;
  const auto parse = [&](const std::string& bytes, CifarLabels labels = CifarLabels::kTen) {
    return [&images, bytes, labels] { parse_cifar_pickle(bytes, "dir/batch", labels, images); };
  };
  const std::string good = python2_batch({1, 2}, "labels");
  expect_error<DataError>(parse(good.substr(0, good.size() / 2)), {"dir/batch"});
  expect_error<DataError>(parse(good, CifarLabels::kFine), {"dir/batch", "fine_labels"});
  expect_error<DataError>(parse(python2_batch({1, 12}, "labels")),
                          {"dir/batch", "label 12 in record 1", "0 to 9"});
  expect_error<DataError>(parse(python2_names("labels", 3)), {"dir/batch", "data"});
  std::string fewer = good;
  fewer.replace(fewer.find("K\x01K\x02", fewer.size() - 12), 4, "K\x01");
  expect_error<DataError>(parse(fewer), {"dir/batch", "6144", "3072"});
}

TEST(CifarReader, ReadsTheRealSet) {
  RETORT_NEEDS_DATA();
  const RawDataset raw = read_dataset(real_data() / "cifar-10-batches-bin", {});
  EXPECT_EQ(raw.train.size(), 50000);
  EXPECT_EQ(raw.test.size(), 10000);
  EXPECT_EQ(std::count(raw.train.labels.begin(), raw.train.labels.end(), 4), 5000);
  EXPECT_EQ(std::vector<int64_t>(raw.test.labels.begin(), raw.test.labels.begin() + 4),
            (std::vector<int64_t>{3, 8, 8, 0}));
  EXPECT_EQ(raw.test.pixels[0], 158);
  EXPECT_EQ(raw.test.pixels[1024], 112);
  EXPECT_EQ(raw.test.pixels[3071], 110);
  EXPECT_EQ(raw.train.labels[0], 6);
  EXPECT_EQ(raw.train.pixels[2], 50);
}

}  // namespace
}  // namespace retort::data
