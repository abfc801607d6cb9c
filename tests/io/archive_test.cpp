// Archives: what is written comes back, the same bytes every time; damaged ones are refused.
#include "io/archive.h"

#include <sys/resource.h>
#include <unistd.h>

#include "core/file.h"
#include "io/archive_members.h"
#include "io/crc32.h"
#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

using namespace std::string_literals;
using Members = std::vector<std::pair<std::string, std::string>>;

// "retort\n" by gzip -n.
const std::string kGzip =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x4a\x2d\xc9\x2f\x2a\xe1\x02\x00"
    "\x1d\xc8\x46\x2d\x07\x00\x00\x00"s;

Members read_all(const std::filesystem::path& path, uint64_t limit = 1 << 20) {
  Members members;
  read_archive(path, limit, [&](const std::string& name, std::string bytes) {
    members.emplace_back(name, std::move(bytes));
  });
  return members;
}

#define RETORT_NEEDS_ARCHIVES() \
  if (!archives_available()) GTEST_SKIP() << "this build has no libarchive"

TEST(Crc32, GivesTheCheckValue) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
}

TEST(Archive, StoredZipGoesOutAndIn) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  const Members members = {
      {"a/data.pkl", "hello"}, {"a/empty", ""}, {"h\303\251", std::string(70000, 'x')}};
  write_stored_zip(folder / "a.zip", members);
  EXPECT_EQ(read_all(folder / "a.zip"), members);
  write_stored_zip(folder / "b.zip", members);
  EXPECT_EQ(tests::read_text(folder / "a.zip"), tests::read_text(folder / "b.zip"));
}

TEST(Archive, StoredDataAreAligned) {
  const tests::TempFolder folder;
  write_stored_zip(folder / "a.zip", {{"one", "FIRST"}, {"two", "SECOND"}});
  const std::string bytes = tests::read_text(folder / "a.zip");
  EXPECT_EQ(bytes.find("FIRST") % 64, 0u);
  EXPECT_EQ(bytes.find("SECOND") % 64, 0u);
}

TEST(Archive, ReadsGzip) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  tests::write_text(folder / "a.gz", kGzip);
  EXPECT_EQ(read_gzip(folder / "a.gz", 100), "retort\n");
  tests::expect_error<DataError>([&] { read_gzip(folder / "a.gz", 3); }, {"a.gz", "more than"});
}

TEST(Archive, RefusesEveryTruncationOfGzip) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  for (size_t size = 0; size < kGzip.size(); ++size) {
    tests::write_text(folder / "a.gz", kGzip.substr(0, size));
    EXPECT_THROW(read_gzip(folder / "a.gz", 100), DataError) << size;
  }
}

TEST(Archive, RefusesChangedGzip) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  std::string bytes = kGzip;
  bytes[bytes.size() - 7] ^= 1;
  tests::write_text(folder / "a.gz", bytes);
  tests::expect_error<DataError>([&] { read_gzip(folder / "a.gz", 100); }, {"checksum"});
  tests::write_text(folder / "b.gz", "plain text of some length, not compressed at all");
  tests::expect_error<DataError>([&] { read_gzip(folder / "b.gz", 100); }, {"b.gz", "not gzip"});
  tests::expect_error<DataError>([&] { read_gzip(folder / "none.gz", 100); }, {"none.gz"});
}

TEST(Archive, RefusesEveryTruncationOfZip) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  write_stored_zip(folder / "a.zip", {{"one", "FIRST"}, {"two", "SECOND"}});
  const std::string bytes = tests::read_text(folder / "a.zip");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto part = std::as_bytes(std::span(bytes.data(), size));
    EXPECT_THROW(read_archive_bytes(part, "a.zip", 1000, [](const std::string&, std::string) {}),
                 DataError)
        << size;
  }
}

TEST(Archive, RefusesDamageAndBombs) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  write_stored_zip(folder / "a.zip", {{"one", std::string(5000, 'x')}, {"two", "SECOND"}});
  tests::expect_error<DataError>([&] { read_all(folder / "a.zip", 5003); },
                                 {"a.zip", "'two'", "more than"});
  std::string bytes = tests::read_text(folder / "a.zip");
  bytes[bytes.find("SECOND")] = 'X';
  tests::write_text(folder / "b.zip", bytes);
  tests::expect_error<DataError>([&] { read_all(folder / "b.zip"); }, {"b.zip", "'two'"});
  tests::write_text(folder / "c.zip", "no archive at all, but some text");
  tests::expect_error<DataError>([&] { read_all(folder / "c.zip"); }, {"c.zip"});
  tests::expect_error<DataError>([&] { read_all(folder / "none.zip"); }, {"none.zip"});
}

TEST(Archive, PassesOverWhatIsNotWanted) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  write_stored_zip(folder / "a.zip", {{"one", std::string(5000, 'x')}, {"two", "SECOND"}});
  std::vector<std::pair<std::string, uint64_t>> offered;
  Members members;
  const MappedFile file(folder / "a.zip");
  read_members(
      file.bytes(), "a.zip", 6,
      [&](const std::string& name, std::string bytes) {
        members.emplace_back(name, std::move(bytes));
      },
      [&](const std::string& name, uint64_t size) {
        offered.emplace_back(name, size);
        return name == "two";
      });
  EXPECT_EQ(members, (Members{{"two", "SECOND"}}));
  EXPECT_EQ(offered, (std::vector<std::pair<std::string, uint64_t>>{{"one", 5000}, {"two", 6}}));
}

TEST(Archive, BelievesNoGzipThatSaysTooMuchOrTooLittle) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  std::string bytes = kGzip;
  bytes[bytes.size() - 1] = 0x40;  // its size would be a gigabyte
  tests::write_text(folder / "a.gz", bytes);
  tests::expect_error<DataError>([&] { read_gzip(folder / "a.gz", uint64_t{4} << 30); },
                                 {"it unpacks to 1073741831 bytes"});
  bytes = kGzip;
  bytes[bytes.size() - 4] = 3;
  tests::write_text(folder / "b.gz", bytes);
  tests::expect_error<DataError>([&] { read_gzip(folder / "b.gz", uint64_t{4} << 30); },
                                 {"more than expected"});
}

TEST(Archive, CountsTheMemoryOfAMemberBeforeItIsTaken) {
  RETORT_NEEDS_ARCHIVES();
  const tests::TempFolder folder;
  write_stored_zip(folder / "a.zip", {{"one", "FIRST"}});
  std::string bytes = tests::read_text(folder / "a.zip");
  const std::string five("\x05\0\0\0\x05\0\0\0", 8), huge("\0\0\0\xF0\0\0\0\xF0", 8);
  for (size_t at = bytes.find(five); at != std::string::npos; at = bytes.find(five, at + 8))
    bytes.replace(at, 8, huge);  // 3.75 GiB in both headers
  const auto part = std::as_bytes(std::span(bytes.data(), bytes.size()));
  const auto ignore = [](const std::string&, std::string) {};
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  const rlimit narrow{static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + (rlim_t{1} << 30),
                      before.rlim_max};
  setrlimit(RLIMIT_AS, &narrow);
  tests::expect_error<ResourceError>(
      [&] { read_archive_bytes(part, "a.zip", uint64_t{8} << 30, ignore); },
      {"a.zip", "4.03 GB of memory", "are free"});
  setrlimit(RLIMIT_AS, &before);
  EXPECT_THROW(read_archive_bytes(part, "a.zip", 1000, ignore), DataError);
}

TEST(Archive, SaysWhenItIsAbsent) {
  if (archives_available()) GTEST_SKIP() << "this build has libarchive";
  tests::expect_error<ResourceError>([&] { read_gzip("a.gz", 1); }, {"libarchive"});
}

}  // namespace
}  // namespace retort
