// Packed sets: the same data as unpacked, resuming, refusals. Long: all cases pack the same
// folders.
#include "data/pack.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <sstream>
#include <thread>

#include "data/pack_file.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "support/resealed.h"
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

TEST(Pack, KeepsTheWnidsOfItsClasses) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 2, true);
  const std::vector<std::string> wnids = {"n01440764", "n01443537", "n02102040"};
  for (const char* part : {"train", "test"})
    for (size_t c = 0; c < wnids.size(); ++c)
      std::filesystem::rename(folder / "set" / part / (std::string("class") + "abc"[c]),
                              folder / "set" / part / wnids[c]);
  pack(input_of(folder / "set", folder / "set.pack"));
  EXPECT_EQ(open(folder / "set.pack").class_ids, wnids);
  EXPECT_EQ(open(folder / "set.pack").class_names[2], "English springer");
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

std::string plain_png(uint8_t value) {
  // Stored pixels of one colour: all such files have one size.
  std::vector<uint8_t> pixels(8 * 8 * 3, value);
  return encode_png(pixels.data(), 8, 8, 3);
}

TEST(Pack, OfARepairedImageIsMadeAnew) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  for (const char* name : {"a", "b"})
    for (uint8_t i = 1; i < 4; ++i)
      write_text(folder / "set" / name / (std::to_string(i) + ".png"), plain_png(i));
  const std::filesystem::path repaired = folder / "set/a/1.png";
  uint8_t other = 10;  // of the same size in bytes
  while (plain_png(other).size() != plain_png(1).size()) ++other;
  pack(input_of(folder / "set", folder / "set.pack"));
  const auto time = std::filesystem::last_write_time(repaired);
  write_text(repaired, plain_png(other));
  std::filesystem::last_write_time(repaired, time);  // as an archive's tool would
  EXPECT_TRUE(pack(input_of(folder / "set", folder / "set.pack")).made);
  EXPECT_TRUE(at::equal(open(folder / "set").train.images, open(folder / "set.pack").train.images));
  EXPECT_FALSE(pack(input_of(folder / "set", folder / "set.pack")).made);
  write_text(folder / "set/a/4.png", plain_png(4));
  expect_error<StateError>([&] { pack(input_of(folder / "set", folder / "set.pack")); },
                           {"files came or went", "remove the file"});
}

TEST(Pack, OfAnotherFitIsRefused) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  PackInput input = input_of(folder / "set", folder / "set.pack");
  input.data.resolution = 4;
  input.data.resize = "squash";
  pack(input);
  DataOptions options;
  options.data = (folder / "set.pack").string();
  options.resolution = 4;
  options.resize = "squash";
  EXPECT_EQ(open_dataset(options).height, 4);
  options.resize = "eval-crop";
  expect_error<ConfigError>([&] { open_dataset(options); }, {"--resize eval-crop"});
  input.data.resize = "crop";
  expect_error<StateError>([&] { pack(input); }, {"another source"});
}

TEST(Pack, ListsDamagedImagesOrPassesThemOver) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, false);
  write_text(folder / "set/train/classa/9.png", "");
  write_text(folder / "set/train/classb/9.png", plain_png(1).substr(0, 60));
  PackInput input = input_of(folder / "set", folder / "set.pack");
  expect_error<DataError>([&] { pack(input); }, {"2 of 17", "classa/9.png", "classb/9.png"});
  input.data.resolution = 8;  // no headers are compared then
  expect_error<DataError>([&] { pack(input); }, {"2 of 17", "classa/9.png", "classb/9.png"});
  input.data.skip_damaged = true;
  std::ostringstream shown;
  input.progress.out = &shown;
  pack(input);
  const size_t looked = shown.str().find("looking for images that cannot be read  15/17 ");
  EXPECT_LT(looked, shown.str().find("packing set  15/15 ")) << shown.str();
  DataOptions options = input.data;
  const Dataset plain = open_dataset(options), packed = open(folder / "set.pack");
  EXPECT_TRUE(at::equal(plain.train.images, packed.train.images));
  EXPECT_TRUE(at::equal(plain.test.images, packed.test.images));
  EXPECT_EQ(plain.notes, packed.notes);
}

TEST(Pack, KeepsTheNotesOnItsImages) {
  if (!png_available() || !jpeg_available()) GTEST_SKIP() << "the build lacks JPEG or PNG";
  const TempFolder folder;
  const std::string corpus = std::string(RETORT_SOURCE_DIR) + "/tests/fuzz/corpus/image/";
  for (const char* file : {"exif3.png", "cmyk.jpg", "deep_l.png", "rgb.png"})
    write_text(folder / "set/a" / file, read_text(corpus + file));
  for (const char* file : {"exif2.png", "plain_cmyk.jpg", "deep_rgb.png", "l.jpg"})
    write_text(folder / "set/b" / file, read_text(corpus + file));
  PackInput input = input_of(folder / "set", folder / "set.pack");
  StopFlag stop;
  stop.request();
  input.stop = &stop;
  EXPECT_TRUE(pack(input).stopped);
  input.stop = nullptr;
  const PackOutcome outcome = pack(input);
  EXPECT_EQ(open(folder / "set.pack").notes, outcome.notes);
  std::vector<std::string> wanted = open(folder / "set").notes, found = outcome.notes;
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(found.size(), 4u) << "the split, EXIF, CMYK, 16 bits";
}

TEST(Pack, LongerLeftoversLeaveNothingBehind) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  write_text(folder / "set.pack.partial", std::string(1 << 20, 'x'));
  const PackOutcome outcome = pack(input_of(folder / "set", folder / "set.pack"));
  EXPECT_EQ(std::filesystem::file_size(folder / "set.pack"), static_cast<uint64_t>(outcome.bytes));
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
  write_text(folder / "wrong.pack", tests::resealed(wrong));
  expect_error<DataError>([&] { open(folder / "wrong.pack"); }, {"wrong.pack", "'mean'"});
}

TEST(PackedSet, AFlippedByteIsNamed) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  pack(input_of(folder / "set", folder / "set.pack"));
  const std::string whole = read_text(folder / "set.pack");
  for (size_t i = 0; i < whole.size(); i += 19) {
    std::string flipped = whole;
    flipped[i] ^= 2;
    write_text(folder / "flipped.pack", flipped);
    EXPECT_THROW(open(folder / "flipped.pack"), Error) << "byte " << i;
  }
  const size_t last = whole.size() - 8 * 15 - 1;  // behind it stand the training labels
  std::string flipped = whole;
  flipped[last] ^= 1;
  write_text(folder / "flipped.pack", flipped);
  expect_error<DataError>([&] { open(folder / "flipped.pack"); },
                          {"flipped.pack'", "the file is damaged: image 14 of 'train'"});
}

TEST(PackedSet, IsKnownHoweverItsHeaderIsWritten) {
  const TempFolder folder;
  const std::string header =
      R"({ "__metadata__" : { "data_name" : "x", "format" : "retort.pack" } })";
  uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  write_text(folder / "a", bytes + header);
  EXPECT_TRUE(is_pack(folder / "a"));
  write_text(folder / "b", bytes + std::string(header.size(), ' '));
  EXPECT_FALSE(is_pack(folder / "b"));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(is_pack(folder / "pipe"));
}

TEST(Pack, DamagedMeanwhileIsPackedAnewFromThere) {
  if (!png_available()) GTEST_SKIP() << "the build has no libpng";
  const TempFolder folder;
  write_folder(folder / "set", 5, true);
  // The note of how far it came is there only while it is packed: it is given a second name.
  std::atomic<bool> over{false};
  std::thread keeper([&] {
    std::error_code absent(1, std::generic_category());
    while (absent && !over)
      std::filesystem::create_hard_link(folder / "a.pack.progress", folder / "note", absent);
  });
  pack(input_of(folder / "set", folder / "a.pack"));
  over = true;
  keeper.join();
  if (!std::filesystem::exists(folder / "note")) GTEST_SKIP() << "the note was not caught";
  const std::string whole = read_text(folder / "a.pack");
  std::string flipped = whole;
  flipped[flipped.size() - 8 * 15 - 1] ^= 1;
  // As a kill before the last renaming leaves it.
  std::filesystem::rename(folder / "a.pack", folder / "before");
  write_text(folder / "a.pack.partial", flipped);
  std::filesystem::rename(folder / "note", folder / "a.pack.progress");
  std::ostringstream said;
  PackInput input = input_of(folder / "set", folder / "a.pack");
  input.progress.out = &said;
  EXPECT_TRUE(pack(input).made);
  EXPECT_EQ(read_text(folder / "a.pack"), whole);
  EXPECT_NE(said.str().find("packed anew from image 17 of 18"), std::string::npos) << said.str();
}

}  // namespace
}  // namespace retort::data
