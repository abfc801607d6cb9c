// Choosing a reader and classes, and what is done after reading.
#include "retort/data/raw.h"

#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;
namespace fs = std::filesystem;

RawDataset read_classes(const fs::path& path, std::vector<std::string> classes) {
  ReadOptions options;
  options.classes = std::move(classes);
  return read_dataset(path, options);
}

TEST(Classes, KeepTheAskedOrder) {
  const TempFolder folder;
  write_cifar10(folder.path());
  const RawDataset raw = read_classes(folder.path(), {"truck", "0", "dog"});
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"truck", "airplane", "dog"}));
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(raw.train.pixels.size(), 3u * 3072);
  EXPECT_EQ(raw.train.pixels[3072], 1) << "dog is the second record of its file";
}

TEST(Classes, UnknownOnesListTheCandidates) {
  const TempFolder folder;
  write_cifar10(folder.path());
  expect_error<ConfigError>(
      [&] {
        read_classes(folder.path(), {"trukc", "dog"});
      },
      {"no class 'trukc'", "airplane", "imagenette", "did you mean 'truck'"});
  expect_error<ConfigError>([&] { read_classes(folder.path(), {"cat", "3"}); }, {"'cat'", "twice"});
  expect_error<ConfigError>([&] { read_classes(folder.path(), {"10"}); }, {"no class '10'"});
  expect_error<ConfigError>([&] { read_classes(folder.path(), {"imagenette"}); },
                            {"n01440764", "tench", "not in the data"});
}

TEST(Classes, OneIsTooFew) {
  const TempFolder folder;
  write_cifar10(folder.path());
  expect_error<DataError>([&] { read_classes(folder.path(), {"cat"}); },
                          {"1 class", "two classes"});
}

TEST(ReadDataset, ResizesAndMakesGrey) {
  const TempFolder folder;
  write_cifar10(folder.path());
  ReadOptions options;
  options.resolution = 16;
  const RawDataset small = read_dataset(folder.path(), options);
  EXPECT_EQ(small.height, 16);
  EXPECT_EQ(small.train.pixels.size(), 10u * 3 * 256);
  EXPECT_TRUE(small.published.has_value());
  options.greyscale = true;
  const RawDataset grey = read_dataset(folder.path(), options);
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.test.pixels.size(), 3u * 256);
  EXPECT_FALSE(grey.published.has_value());
}

TEST(ReadDataset, SaysWhatElseTheFolderHolds) {
  const TempFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  write_mnist(folder / "MNIST/raw");
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "cifar10");
  ASSERT_EQ(raw.notes.size(), 1u);
  EXPECT_NE(raw.notes[0].find("MNIST family"), std::string::npos);
}

TEST(ReadDataset, NamesASetOneFolderBelow) {
  const TempFolder folder;
  write_cifar10(folder / "sets/c10");
  expect_error<DataError>(
      [&] { read_dataset(folder / "sets", {}); },
      {"the folder holds c10/", "did you mean '", "sets/c10' (cifar10-binary)"});
}

TEST(ReadDataset, ExplainsATildeThatTheShellLeft) {
  expect_error<DataError>([] { read_dataset("~/no/such/data", {}); }, {"'~'", "$HOME"});
}

TEST(ReadDataset, SaysWhichFoldersOfImagesItLeft) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  write_image_folder(folder / "imagenette2", {"a", "b"});
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.name, "cifar10");
  ASSERT_EQ(raw.notes.size(), 1u);
  EXPECT_NE(raw.notes[0].find("not used: 'imagenette2'"), std::string::npos);
}

TEST(ReadDataset, NamesOtherProgramsFilesWithAWayOut) {
  const TempFolder folder;
  const auto expect = [&](const std::string& name, const std::string& bytes,
                          std::vector<std::string> message) {
    write_text(folder / name, bytes);
    expect_error<DataError>([&] { read_dataset(folder / name, {}); }, std::move(message));
  };
  expect("a.parquet", "PAR1....PAR1", {"a Parquet file", "load_dataset", "np.savez"});
  expect("a.h5", "\x89HDF\r\n\x1a\n", {"an HDF5 file", "h5py", "np.savez"});
  expect("a.npy", npy_bytes(DType::kU8, {1}, "x"),
         {"a NumPy array", "labels.npy", "np.load", "np.savez"});
  expect("noname", "PAR1", {"a Parquet file"});
  expect("c.tar.gz", "\x1f\x8b", {"a compressed archive", "tar -xf /", "c.tar.gz"});
  std::string tar(257, '\0');
  tar += "ustar";
  expect("d.tar", tar, {"a tar archive", "tar -xf"});
  expect("db/data.mdb", "", {"an LMDB database", "np.savez"});
  expect("a.pt", "PK\3\4", {"PyTorch", "retort import"});
  expect("a.csv", "path,label\n", {"a table", "folder of images for each class"});
  write_text(folder / "hub/data/train-0.parquet", "PAR1");
  write_text(folder / "hub/README.md", "");
  expect_error<DataError>([&] { read_dataset(folder / "hub", {}); },
                          {"1 file of a kind that is not read (a Parquet file)", "load_dataset"});
}

TEST(ReadDataset, EveryReaderHasANameAndASummary) {
  for (const Reader& reader : readers()) {
    EXPECT_FALSE(reader.name.empty());
    EXPECT_FALSE(reader.summary.empty());
    EXPECT_FALSE(reader.recognises("/nonexistent"));
  }
}

}  // namespace
}  // namespace retort::data
