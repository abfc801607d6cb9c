#include "core/file.h"
#include "core/leftovers.h"
#include "core/note.h"
#include "core/plain_file.h"
#include "io/checkpoint.h"
#include "io/content_hash.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io/safetensors.h"
#include "retort/core/error.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"
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

TEST(WriteAtomically, TakesThePlaceOfAWriterThatWasKilled) {
  TempFolder folder;
  tests::write_text(folder / "a.partial-0", "half");
  write_atomically(folder / "a", "whole");
  EXPECT_EQ(read_file(folder / "a"), "whole");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.partial-0"));
}

TEST(WriteAtomically, LeavesToALivingWriterWhatItIsWriting) {
  TempFolder folder;
  write_atomically(folder / "a", [&](const Sink& sink) {
    sink("first", 5);
    ASSERT_TRUE(std::filesystem::exists(folder / "a.partial-0"));
    remove_leftovers(folder / "a");
    remove_leftovers_in(folder.path());
    EXPECT_TRUE(std::filesystem::exists(folder / "a.partial-0"));
    write_atomically(folder / "a", "second");
    EXPECT_EQ(read_file(folder / "a"), "second");
  });
  EXPECT_EQ(read_file(folder / "a"), "first");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteAtomically, ObeysTheMask) {
  TempFolder folder;
  const mode_t before = umask(077);
  write_atomically(folder / "private", "x");
  umask(022);
  write_atomically(folder / "common", "x");
  umask(before);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(folder / "private").permissions(),
            perms::owner_read | perms::owner_write);
  EXPECT_EQ(std::filesystem::status(folder / "common").permissions(),
            perms::owner_read | perms::owner_write | perms::group_read | perms::others_read);
}

TEST(Leftovers, AreRemovedInAllFoldersButNothingElse) {
  TempFolder folder;
  for (const char* name : {"sub/deep/b.partial-12", "a.partial-x1y2z3"})
    tests::write_text(folder / name, "text");
  for (const char* name : {"expert_0001.partial", "sub/deep/b", "c.partial-something"})
    tests::write_text(folder / name, "text");
  remove_leftovers_in(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder / "sub/deep/b.partial-12"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.partial-x1y2z3"));
  for (const char* name : {"expert_0001.partial", "sub/deep/b", "c.partial-something"})
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
}

TEST(ReadFile, DoesNotWaitForPipesSocketsAndDevices) {
  TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = folder / "socket";
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  for (const std::string& file : {(folder / "pipe").string(), path, std::string("/dev/zero")}) {
    expect_error<DataError>([&] { read_file(file); }, {file, "not a plain file"});
    expect_error<DataError>([&] { MappedFile map(file); }, {file, "not a plain file"});
    expect_error<DataError>([&] { PlainFile plain(file); }, {file, "not a plain file"});
  }
  close(socket);
}

TEST(ReadFile, SaysThatItMayNotRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  TempFolder folder;
  write_atomically(folder / "a", "x");
  std::filesystem::permissions(folder / "a", std::filesystem::perms::none);
  expect_error<ResourceError>([&] { read_file(folder / "a"); },
                              {"reading", "the right to read it"});
}

TEST(MappedFile, IsNamedByItsAddresses) {
  TempFolder folder;
  write_atomically(folder / "a", std::string(5000, 'x'));
  write_atomically(folder / "b", std::string(5000, 'y'));
  const MappedFile a(folder / "a");
  {
    const MappedFile b(folder / "b");
    EXPECT_EQ(mapped_file_at(a.bytes().data() + 4999), (folder / "a").string());
    EXPECT_EQ(mapped_file_at(b.bytes().data()), (folder / "b").string());
  }
  const MappedFile again(folder / "b");
  EXPECT_EQ(mapped_file_at(again.bytes().data()), (folder / "b").string());
  EXPECT_EQ(mapped_file_at(&folder), nullptr);
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

TEST(Records, AFigureThatWasChangedIsNamed) {
  TempFolder folder;
  RecordWriter(folder / "r", 0).write({{"kind", "learned"}, {"accuracy", 0.25}});
  EXPECT_EQ(read_records(folder / "r").at(0), Json({{"kind", "learned"}, {"accuracy", 0.25}}));
  std::string text = tests::read_text(folder / "r");
  text[text.find("0.25") + 2] = '3';
  tests::write_text(folder / "r", text);
  expect_error<DataError>([&] { read_records(folder / "r"); }, {"line 1", "damaged"});
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

TEST(Printable, ShowsControlCharacters) {
  EXPECT_EQ(printable("cat\tdog\nr\303\251sum\303\251"), "cat\tdog\nr\303\251sum\303\251");
  EXPECT_EQ(printable("\033[2Jred\r\a\177"), "\\x1b[2Jred\\x0d\\x07\\x7f");
  EXPECT_EQ(printable("\302\233"), "\\x9b");
  EXPECT_EQ(printable("\302\251"), "\302\251");
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

TEST(Records, ALineThatNestsTooDeepIsNamed) {
  TempFolder folder;
  const size_t depth = 1000000;
  tests::write_text(folder / "r",
                    "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}\n{}\n");
  expect_error<DataError>([&] { RecordWriter(folder / "r", 0); }, {"line 1"});
}

TEST(Format, DurationsAndBytes) {
  EXPECT_EQ(format_duration(4.2), "4.2 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_bytes(1300000), "1.3 MB");
}

}  // namespace
}  // namespace retort
