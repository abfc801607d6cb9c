// Packed sets: the same data as unpacked, resuming, refusals.
#include "retort/data/pack.h"

#include <gtest/gtest.h>

#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "support/support.h"

namespace retort::data {
namespace {

using tests::expect_error;
using tests::read_text;
using tests::TempFolder;
using tests::write_text;

/// A folder of PNGs, `each` a class, with a test part on demand.
void write_folder(const std::filesystem::path& root, int each, bool test) {
  const auto one = [&](const std::filesystem::path& path, int value) {
    std::vector<uint8_t> pixels(8 * 8 * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(value + 3 * i);
    write_text(path, encode_png(pixels.data(), 8, 8, 3));
  };
  for (int c = 0; c < 3; ++c) {
    const std::string name = std::string("class") + static_cast<char>('a' + c);
    for (int i = 0; i < each; ++i)
      one(root / "train" / name / (std::to_string(i) + ".png"), 40 * c + i);
    if (test) one(root / "test" / name / "0.png", 40 * c + 30);
  }
}

PackInput input_of(const std::filesystem::path& source, const std::filesystem::path& out) {
  PackInput input;
  input.data.data = source.string();
  input.out = out;
  return input;
}

Dataset open(const std::filesystem::path& path) {
  DataOptions options;
  options.data = path.string();
  return open_dataset(options);
}

TEST(Pack, HoldsTheSameDataAsTheFolder) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  const PackOutcome outcome = pack(input_of(folder / "set", folder / "set.pack"));
  EXPECT_TRUE(outcome.made);
  EXPECT_EQ(outcome.images, 18);
  EXPECT_EQ(static_cast<uint64_t>(outcome.bytes), std::filesystem::file_size(folder / "set.pack"));
  const Dataset plain = open(folder / "set"), packed = open(folder / "set.pack");
  EXPECT_TRUE(at::equal(plain.train.images, packed.train.images));
  EXPECT_TRUE(at::equal(plain.train.labels, packed.train.labels));
  EXPECT_TRUE(at::equal(plain.test.images, packed.test.images));
  EXPECT_EQ(plain.hash, packed.hash);
  EXPECT_EQ(plain.class_names, packed.class_names);
  EXPECT_EQ(plain.preprocessing.mean(), packed.preprocessing.mean());
  EXPECT_FALSE(pack(input_of(folder / "set", folder / "set.pack")).made);
}

TEST(Pack, SplitsPartsOffAsReadingDoes) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 8, false);
  PackInput input = input_of(folder / "set", folder / "set.pack");
  input.data.validation_fraction = 0.25;
  pack(input);
  const Dataset plain = open_dataset(input.data), packed = open(folder / "set.pack");
  EXPECT_TRUE(at::equal(plain.train.images, packed.train.images));
  EXPECT_TRUE(at::equal(plain.validation.images, packed.validation.images));
  EXPECT_TRUE(at::equal(plain.test.labels, packed.test.labels));
  EXPECT_TRUE(at::equal(plain.test.images, packed.test.images));
}

TEST(Pack, OfASetInMemoryKeepsItsPublishedNormalisation) {
  const TempFolder folder;
  PackInput input = input_of("shapes", folder / "shapes.pack");
  input.data.data = "shapes";
  input.repeat = 2;
  pack(input);
  const Dataset packed = open(folder / "shapes.pack");
  EXPECT_EQ(packed.train.size(), 20000);
  EXPECT_TRUE(at::equal(packed.train.images[0], packed.train.images[10000]));
  EXPECT_EQ(packed.name, "shapes");
}

TEST(Pack, StoppedGoesOnToTheSameBytes) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  pack(input_of(folder / "set", folder / "whole.pack"));
  StopFlag stop;
  stop.request();
  PackInput input = input_of(folder / "set", folder / "parts.pack");
  input.stop = &stop;
  EXPECT_TRUE(pack(input).stopped);
  EXPECT_FALSE(std::filesystem::exists(folder / "parts.pack"));
  // A note of another plan does not count.
  write_text(folder / "parts.pack.progress", "{\"source\": \"other\", \"done\": 7}\n");
  input.stop = nullptr;
  EXPECT_TRUE(pack(input).made);
  EXPECT_EQ(read_text(folder / "whole.pack"), read_text(folder / "parts.pack"));
  EXPECT_FALSE(std::filesystem::exists(folder / "parts.pack.progress"));
}

TEST(Pack, RefusesToWriteOverOtherFiles) {
  const TempFolder folder;
  write_text(folder / "other", "precious");
  PackInput input = input_of("shapes", folder / "other");
  input.data.data = "shapes";
  expect_error<StateError>([&] { pack(input); }, {"other", "no packed set", "choose another"});
  EXPECT_EQ(read_text(folder / "other"), "precious");
}

TEST(PackedSet, RefusesOptionsThatWouldChangeIt) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  pack(input_of(folder / "set", folder / "set.pack"));
  DataOptions options;
  options.data = (folder / "set.pack").string();
  options.classes = {"classa", "classb"};
  expect_error<ConfigError>([&] { open_dataset(options); }, {"--classes", "retort pack"});
}

TEST(PackedSet, IsRefusedWhereItIsDamaged) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  pack(input_of(folder / "set", folder / "set.pack"));
  const std::string whole = read_text(folder / "set.pack");
  write_text(folder / "short.pack", whole.substr(0, whole.size() - 100));
  expect_error<DataError>([&] { open(folder / "short.pack"); }, {"short.pack"});
  std::string wrong = whole;
  wrong.replace(wrong.find("\"mean\":\"[") + 9, 3, "abc");
  write_text(folder / "wrong.pack", wrong);
  expect_error<DataError>([&] { open(folder / "wrong.pack"); }, {"wrong.pack", "'mean'"});
}

}  // namespace
}  // namespace retort::data
