#include "retort/core/file.h"

#include <gtest/gtest.h>

#include "retort/core/error.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/core/safetensors.h"
#include "retort/core/tensor_file.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::expect_error;
using tests::TempFolder;

TEST(WriteAtomically, LeavesTheOldFileWhenFillingFails) {
  TempFolder folder;
  write_atomically(folder / "a", "old");
  EXPECT_THROW(write_atomically(folder / "a",
                                [](const Sink& sink) {
                                  sink("half", 4);
                                  throw std::runtime_error("stopped");
                                }),
               std::runtime_error);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteAtomically, LeavesNothingOfAKillOnceLeftoversAreRemoved) {
  TempFolder folder;
  for (const char* name : {"a", "a.partial-x1y2z3", "ab.partial-x1y2z3", "b"})
    tests::write_text(folder / name, "text");
  remove_leftovers(folder / "a");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.partial-x1y2z3"));
  for (const char* name : {"a", "ab.partial-x1y2z3", "b"})
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
}

TEST(WriteAtomically, SaysThatTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  expect_error<ResourceError>([] { write_atomically("/proc/retort/a", "x"); },
                              {"writing '/proc/retort/a'"});
}

TEST(ReadFile, NamesAMissingFileAndRefusesFolders) {
  TempFolder folder;
  expect_error<DataError>([&] { read_file(folder / "none"); }, {"none", "not there"});
  expect_error<DataError>([&] { read_file(folder.path()); }, {"it is a folder"});
  write_atomically(folder / "a", "12345");
  expect_error<DataError>([&] { read_file(folder / "a", 4); }, {"5 bytes", "at most 4"});
}

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

TEST(Records, DropLaterIterationsAndACutLine) {
  TempFolder folder;
  {
    RecordWriter writer(folder / "r", 0);
    for (int i = 1; i <= 4; ++i) writer.write({{"kind", "iteration"}, {"iteration", i}});
  }
  std::ofstream(folder / "r", std::ios::app) << R"({"kind":"itera)";
  RecordWriter again(folder / "r", 2);
  again.write({{"kind", "iteration"}, {"iteration", 3}, {"new", true}});
  const auto records = read_records(folder / "r");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_TRUE(records.back().at("new").get<bool>());
}

TEST(Records, ADamagedLineIsNamed) {
  TempFolder folder;
  tests::write_text(folder / "r", "{}\nnonsense\n{}\n");
  expect_error<DataError>([&] { read_records(folder / "r"); }, {"line 2"});
}

TEST(Format, DurationsAndBytes) {
  EXPECT_EQ(format_duration(4.2), "4.2 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_bytes(1300000), "1.3 MB");
}

}  // namespace
}  // namespace retort
