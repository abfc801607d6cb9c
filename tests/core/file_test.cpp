#include "core/file.h"
#include "core/leftovers.h"
#include "core/note.h"
#include "core/plain_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "retort/core/error.h"
#include "retort/core/progress.h"
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

TEST(Printable, ShowsControlCharacters) {
  EXPECT_EQ(printable("cat\tdog\nr\303\251sum\303\251"), "cat\tdog\nr\303\251sum\303\251");
  EXPECT_EQ(printable("\033[2Jred\r\a\177"), "\\x1b[2Jred\\x0d\\x07\\x7f");
  EXPECT_EQ(printable("\302\233"), "\\x9b");
  EXPECT_EQ(printable("\302\251"), "\302\251");
}

TEST(Format, DurationsAndBytes) {
  EXPECT_EQ(format_duration(4.2), "4.2 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_bytes(1300000), "1.3 MB");
}

}  // namespace
}  // namespace retort
