// Reads gzip files, zips and tars through libarchive. No torch here.
#include "retort/core/archive.h"

#include "retort/core/error.h"
#include "retort/core/file.h"

#ifdef RETORT_WITH_ARCHIVE
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/crc32.h"

namespace retort {
namespace {

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

/// The rest of the current member; more than `limit` bytes are refused.
std::string read_member(struct archive* reader, const std::string& path, const std::string& where,
                        uint64_t limit) {
  std::string bytes;
  std::vector<char> buffer(size_t{1} << 18);
  while (true) {
    const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
    if (got < 0) throw refused(path, reader, where);
    if (got == 0) return bytes;
    if (static_cast<uint64_t>(got) > limit - bytes.size())
      throw DataError::damaged(path, where + "it unpacks to more than expected",
                               "at most " + std::to_string(limit) + " bytes more");
    bytes.append(buffer.data(), static_cast<size_t>(got));
  }
}

/// libarchive does not compare gzip's checksum, so that is done here.
void check_gzip_trailer(std::span<const std::byte> file, const std::string& path,
                        const std::string& content) {
  uint32_t crc = 0, size = 0;
  if (file.size() >= 18) {
    std::memcpy(&crc, file.data() + file.size() - 8, 4);
    std::memcpy(&size, file.data() + file.size() - 4, 4);
  }
  if (file.size() < 18 || size != static_cast<uint32_t>(content.size()) || crc != crc32(content))
    throw DataError::damaged(path, "its checksum does not fit its content",
                             "one whole gzip stream");
}

}  // namespace

bool archives_available() {
  return true;
}

std::string read_gzip(const std::filesystem::path& path, uint64_t limit) {
  const std::string file_bytes = read_file(path);
  const auto bytes = std::as_bytes(std::span(file_bytes));
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
  if (status != ARCHIVE_EOF) content = read_member(reader.get(), path.string(), "", limit);
  check_gzip_trailer(bytes, path.string(), content);
  return content;
}

void read_archive_bytes(
    std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
    const std::function<void(const std::string& name, std::string bytes)>& take) {
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
    const std::string member = name;
    std::string content = read_member(reader.get(), path, "member '" + member + "': ", left);
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

void read_archive_bytes(std::span<const std::byte>, const std::string& path, uint64_t,
                        const std::function<void(const std::string& name, std::string bytes)>&) {
  absent(path);
}

}  // namespace retort

#endif

namespace retort {

void read_archive(const std::filesystem::path& path, uint64_t limit,
                  const std::function<void(const std::string& name, std::string bytes)>& take) {
  const MappedFile file(path);
  read_archive_bytes(file.bytes(), path.string(), limit, take);
}

}  // namespace retort
