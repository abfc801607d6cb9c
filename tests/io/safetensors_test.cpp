#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <span>

#include "core/file.h"
#include "io/checkpoint.h"
#include "io/content_hash.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::expect_error;
using tests::TempFolder;

TEST(Safetensors, RoundTripsAndIsStable) {
  TempFolder folder;
  const TensorMap tensors{{"b", at::arange(6, at::kFloat).view({2, 3})},
                          {"a", at::tensor(std::vector<int64_t>{1, -2})},
                          {"empty", at::empty({0, 3}, at::kByte)},
                          {"scalar", at::scalar_tensor(2.5, at::kDouble)}};
  save_tensors(folder / "x", tensors, {{"key", "va\"lue"}});
  save_tensors(folder / "y", tensors, {{"key", "va\"lue"}});
  EXPECT_EQ(read_file(folder / "x"), read_file(folder / "y"));
  const TensorFile loaded = load_tensors(folder / "x");
  for (const auto& [name, tensor] : tensors)
    EXPECT_TRUE(loaded.tensors.at(name).equal(tensor)) << name;
  EXPECT_EQ(loaded.metadata.at("key"), "va\"lue");
  expect_error<DataError>([&] { tensor_of(loaded, "c", "x"); }, {"no tensor 'c'"});
}

std::string with_header(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

TEST(Safetensors, RefusesHostileHeaders) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {std::string("\1\2", 2), "2 bytes"},
      {std::string(8, '\xff'), "header claims"},
      {with_header("not json", 0), "not JSON"},
      {with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 8), "asks for 8"},
      {with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
       "outside the file"},
      {with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8),
       "outside the file"},
      {with_header(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "not a count"},
      {with_header(
           R"({"a":{"dtype":"F32","shape":[281474976710656,281474976710656],"data_offsets":[0,8]}})",
           8),
       "too large"},
      {with_header(R"({"a":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}})", 8), "'Q7'"},
      {with_header(R"({"a":3})", 8), "lacks dtype"},
      {with_header(R"({"__metadata__":{"k":3}})", 0), "metadata 'k'"}};
  for (const auto& [bytes, part] : cases)
    expect_error<DataError>(
        [&, text = &bytes] {
          parse_safetensors(std::as_bytes(std::span(text->data(), text->size())), "f");
        },
        {part});
}

TEST(Safetensors, RefusesOverlapsHolesTrailingBytesAndKeysThatStandTwice) {
  const auto entry = [](const char* name, int begin, int end) {
    return "\"" + std::string(name) + R"(":{"dtype":"U8","shape":[4],"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {with_header("{" + entry("a", 0, 4) + "," + entry("b", 2, 6) + "}", 6), "inside the one"},
      {with_header("{" + entry("a", 0, 4) + "," + entry("b", 0, 4) + "}", 4), "inside the one"},
      {with_header("{" + entry("a", 0, 4) + "," + entry("b", 5, 9) + "}", 9), "at byte 5"},
      {with_header("{" + entry("a", 1, 5) + "}", 5), "at byte 1"},
      {with_header("{" + entry("a", 0, 4) + "}", 7), "3 bytes follow"},
      {with_header("{" + entry("a", 0, 4) + "," + entry("a", 0, 4) + "}", 4), "'a' twice"},
      {with_header(R"({"__metadata__":{"k":"1","k":"2"}})", 0), "'k' twice"}};
  for (const auto& [bytes, part] : cases)
    expect_error<DataError>(
        [&, text = &bytes] {
          parse_safetensors(std::as_bytes(std::span(text->data(), text->size())), "f");
        },
        {part});
}

const TensorMap kFew{{"images", at::arange(12, at::kFloat)},
                     {"labels", at::tensor(std::vector<int64_t>{3, 4})}};

TEST(Safetensors, NamesEveryFlippedBit) {
  TempFolder folder;
  save_tensors(folder / "a", kFew, {{"format", "retort.test"}, {"classes", "cat, dog"}});
  const std::string whole = tests::read_text(folder / "a");
  load_tensors(folder / "a");
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_THROW(parse_safetensors(std::as_bytes(std::span(flipped.data(), flipped.size())), "f"),
                   DataError)
          << "byte " << i << ", bit " << bit;
    }
  std::string changed = whole;
  changed.back() ^= 1;
  tests::write_text(folder / "b", changed);
  expect_error<DataError>([&] { load_tensors(folder / "b"); },
                          {"the file is damaged: its content hash is ", " was written"});
}

TEST(Safetensors, OfOthersNeedNoHash) {
  const std::string text = with_header(R"({"__metadata__":{"format":"pt"}})", 0);
  EXPECT_EQ(parse_safetensors(std::as_bytes(std::span(text.data(), text.size())), "f")
                .metadata.at("format"),
            "pt");
}

TEST(Checkpoint, DamagedGivesWayToTheOneBefore) {
  TempFolder folder;
  const auto path = folder / "checkpoint.safetensors";
  for (const char* at : {"1", "2", "3"}) save_checkpoint(path, kFew, {{"iteration", at}});
  EXPECT_EQ(load_checkpoint(path).file.metadata.at("iteration"), "3");
  EXPECT_EQ(load_checkpoint(path).note, "");
  std::string bytes = tests::read_text(path);
  bytes[bytes.size() - 5] ^= 4;
  tests::write_text(path, bytes);
  const Checkpoint before = load_checkpoint(path);
  EXPECT_EQ(before.file.metadata.at("iteration"), "2");
  EXPECT_EQ(before.path, previous_checkpoint(path).string());
  EXPECT_NE(before.note.find("content hash"), std::string::npos) << before.note;
  tests::write_text(previous_checkpoint(path), "cut");
  expect_error<DataError>([&] { load_checkpoint(path); },
                          {"going on from", "content hash", "cannot be used either"});
  std::filesystem::remove(previous_checkpoint(path));
  expect_error<DataError>([&] { load_checkpoint(path); },
                          {"going on from", "the one before, is not there", "begin anew"});
}

TEST(HashWords, NoticesWhatItemsCouldHideFromEachOther) {
  std::vector<uint64_t> words(9, 0);
  const auto hash = [&] { return hash_words(words.data(), words.size() * 8 - 3); };
  const uint64_t before = hash();
  words[2] ^= uint64_t{1} << 63;
  words[3] ^= uint64_t{1} << 63;
  EXPECT_NE(hash(), before);
  words[2] = words[3] = 0;
  EXPECT_EQ(hash(), before);
  EXPECT_NE(hash_words(words.data(), 16), hash_words(words.data(), 17));
  EXPECT_NE(hash_words(words.data(), 16, 1), hash_words(words.data(), 16));
}

}  // namespace
}  // namespace retort
