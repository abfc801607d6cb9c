// Reads gzip files, zips and tars through libarchive. No torch here.
#include "io/archive.h"

#include "core/file.h"
#include "core/memory.h"
#include "io/archive_members.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_ARCHIVE
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/sizes.h"
#include "io/crc32.h"

namespace retort {
namespace {

constexpr uint64_t kMostPacked = 1032;  // deflate packs no more bytes into one

/// libarchive gives names in the characters of the locale; this makes them UTF-8 meanwhile.
class Utf8Names {
 public:
  Utf8Names() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_) before_ = uselocale(utf8_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;
  ~Utf8Names() {
    if (!utf8_) return;
    uselocale(before_);
    freelocale(utf8_);
  }

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

using Reader = std::unique_ptr<struct archive, decltype(&archive_read_free)>;

DataError refused(const std::string& path, struct archive* reader, const std::string& where) {
  const char* text = archive_error_string(reader);
  return DataError::damaged(path, where + (text ? text : "it cannot be decoded"),
                            "a whole, undamaged archive");
}

void open(struct archive* reader, std::span<const std::byte> bytes, const std::string& path) {
  if (archive_read_open_memory(reader, bytes.data(), bytes.size()) != ARCHIVE_OK)
    throw refused(path, reader, "");
}

/// The rest of the current member; more than `limit` bytes are refused. Its memory is asked for
/// once, before, and taken as bytes come: at first no more than deflate can make of the archive.
std::string read_member(struct archive* reader, const std::string& path, const std::string& where,
                        uint64_t limit, uint64_t packed,
                        const std::function<uint64_t(std::string_view)>& size_of) {
  constexpr uint64_t kMuch = uint64_t{64} << 20;
  if (limit > kMuch)
    require_memory("reading '" + path + "'", to_int64(limit),
                   where + "it unpacks to that: use a machine with more memory, or a smaller file");
  std::string bytes;
  bytes.reserve(std::min(limit, packed * kMostPacked));
  std::vector<char> buffer(size_t{1} << 18);
  while (true) {
    const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
    if (got < 0) throw refused(path, reader, where);
    if (got == 0) return bytes;
    if (to_size(got) > limit - bytes.size())
      throw DataError::damaged(path, where + "it unpacks to more than expected",
                               "at most " + std::to_string(limit) + " bytes");
    const std::string_view piece(buffer.data(), to_size(got));
    const uint64_t wanted = bytes.empty() && size_of ? size_of(piece) : 0;
    if (wanted != 0 && wanted != limit)
      throw DataError::damaged(path, where + "it unpacks to " + std::to_string(limit) +
                                         " bytes, its header asks for " + std::to_string(wanted));
    bytes.append(piece);
  }
}

/// The size that a gzip stream gives at its end.
uint64_t gzip_size(std::span<const std::byte> file, const std::string& path) {
  constexpr uint64_t kLeast = 18;
  uint32_t size = 0;
  if (file.size() < kLeast)
    throw DataError::damaged(path, "it ends inside a gzip stream", "one whole gzip stream");
  std::memcpy(&size, file.data() + file.size() - 4, 4);
  if (size > file.size() * kMostPacked)
    throw DataError::damaged(path, "it says that it unpacks to " + std::to_string(size) + " bytes",
                             "one whole gzip stream");
  return size;
}

/// libarchive does not compare gzip's checksum, so that is done here.
void check_gzip_trailer(std::span<const std::byte> file, const std::string& path,
                        const std::string& content) {
  uint32_t crc = 0;
  std::memcpy(&crc, file.data() + file.size() - 8, 4);
  if (gzip_size(file, path) != content.size() || crc != crc32(content))
    throw DataError::damaged(path, "its checksum does not fit its content",
                             "one whole gzip stream");
}

}  // namespace

bool archives_available() {
  return true;
}

std::string read_gzip(const std::filesystem::path& path, uint64_t limit) {
  return read_gzip_of(path, limit, {});
}

std::string read_gzip_of(const std::filesystem::path& path, uint64_t limit,
                         const SizeOfContent& size_of) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  Reader reader(archive_read_new(), &archive_read_free);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  open(reader.get(), bytes, path.string());
  struct archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status < ARCHIVE_WARN) throw refused(path.string(), reader.get(), "");
  if (archive_filter_code(reader.get(), 0) != ARCHIVE_FILTER_GZIP)
    throw DataError::damaged(path.string(), "it is not gzip data", "a gzip file");
  std::string content;
  const uint64_t size = gzip_size(bytes, path.string());
  if (size > limit)
    throw DataError::damaged(path.string(), "it unpacks to more than expected",
                             "at most " + std::to_string(limit) + " bytes");
  std::function<uint64_t(std::string_view)> known;
  if (size_of) known = [&](std::string_view start) { return size_of(start, path.string()); };
  if (status != ARCHIVE_EOF)
    content = read_member(reader.get(), path.string(), "", size, bytes.size(), known);
  check_gzip_trailer(bytes, path.string(), content);
  return content;
}

void read_members(std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
                  const TakeMember& take, const WantMember& want, const SizeOfContent& size_of) {
  Reader reader(archive_read_new(), &archive_read_free);
  // Only filters that are decoded inside the library: others would start programs. Zips by their
  // directory alone, so that a cut one is refused whole.
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_zip_seekable(reader.get());
  open(reader.get(), bytes, path);
  const Utf8Names names;
  uint64_t left = limit;
  while (true) {
    struct archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    if (status < ARCHIVE_WARN) throw refused(path, reader.get(), "");
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
    const char* name = archive_entry_pathname(entry);
    if (!name) throw DataError::damaged(path, "a member has no readable name");
    const std::string member = name, where = "member '" + member + "': ";
    const int64_t declared = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (declared < 0 || !archive_entry_size_is_set(entry))
      throw DataError::damaged(path, where + "its size is not declared");
    const uint64_t size = to_size(declared);
    if (want && !want(member, size)) continue;
    if (size > left)
      throw DataError::damaged(path, where + "it unpacks to more than expected",
                               "at most " + std::to_string(left) + " bytes more");
    std::function<uint64_t(std::string_view)> known;
    if (size_of) known = [&](std::string_view start) { return size_of(start, member); };
    std::string content = read_member(reader.get(), path, where, size, bytes.size(), known);
    left -= content.size();
    take(member, std::move(content));
  }
}

}  // namespace retort

#else

namespace retort {
namespace {

[[noreturn]] void absent(const std::string& path) {
  throw ResourceError::absent("reading '" + path + "'", "libarchive", "libarchive-dev");
}

}  // namespace

bool archives_available() {
  return false;
}

std::string read_gzip(const std::filesystem::path& path, uint64_t) {
  absent(path.string());
}

void read_members(std::span<const std::byte>, const std::string& path, uint64_t, const TakeMember&,
                  const WantMember&, const SizeOfContent&) {
  absent(path);
}

std::string read_gzip_of(const std::filesystem::path& path, uint64_t, const SizeOfContent&) {
  absent(path.string());
}

}  // namespace retort

#endif

namespace retort {

void read_archive_bytes(
    std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
    const std::function<void(const std::string& name, std::string bytes)>& take) {
  read_members(bytes, path, limit, take, {});
}

void read_archive(const std::filesystem::path& path, uint64_t limit,
                  const std::function<void(const std::string& name, std::string bytes)>& take) {
  const MappedFile file(path);
  read_archive_bytes(file.bytes(), path.string(), limit, take);
}

}  // namespace retort
