// Reading on POSIX, and hashes. No torch here.
#include "core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/descriptor.h"
#include "core/memory.h"
#include "core/plain_file.h"
#include "core/sizes.h"

namespace retort {
namespace {

constexpr uint64_t kMuch = uint64_t{64} << 20;  // below this no memory is counted beforehand

void require_plain(const struct stat& about, const std::filesystem::path& path) {
  if (S_ISREG(about.st_mode)) return;
  throw DataError(ErrorMessage{"reading '" + path.string() + "'",
                               S_ISDIR(about.st_mode) ? "it is a folder" : "it is not a plain file",
                               "a file", "check the path"});
}

/// Reads up to `size` bytes, fewer where the file ends; returns their number.
size_t read_at(int file, void* into, size_t size, uint64_t offset,
               const std::filesystem::path& path) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got =
        ::pread(file, static_cast<char*>(into) + have, size - have, to_int64(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw unreadable(path);
    if (got == 0) break;
    have += to_size(got);
  }
  return have;
}

}  // namespace

ResourceError unreadable(const std::filesystem::path& path) {
  const int code = errno;
  const bool denied = code == EACCES || code == EPERM;
  return ResourceError(ErrorMessage{"reading '" + path.string() + "'",
                                    std::strerror(code),
                                    {},
                                    denied
                                        ? "give yourself the right to read it, or name another file"
                                        : "check the path and the disk"});
}

int open_plain(const std::filesystem::path& path, uint64_t& size) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) throw DataError::missing(path.string(), "a file");
    throw unreadable(path);
  }
  require_plain(about, path);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0 || ::fstat(file, &about) != 0) throw unreadable(path);
  if (!S_ISREG(about.st_mode)) ::close(file);
  require_plain(about, path);
  size = to_size(about.st_size);
  return file;
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size > limit)
    throw DataError::damaged(path.string(), fmt::format("it holds {} bytes", size),
                             fmt::format("at most {} bytes", limit));
  if (size > kMuch)
    require_memory("reading '" + path.string() + "'", to_int64(size),
                   "free some memory, or use a machine with more");
  std::string bytes(size, '\0');
  bytes.resize(read_at(file.get(), bytes.data(), size, 0, path));
  return bytes;
}

PlainFile::PlainFile(std::filesystem::path path)
    : path_(std::move(path)), file_(open_plain(path_, size_)) {}

PlainFile::~PlainFile() {
  ::close(file_);
}

void PlainFile::read(void* into, size_t size, uint64_t offset) const {
  if (read_at(file_, into, size, offset, path_) != size)
    throw DataError::damaged(path_.string(), fmt::format("it ends before byte {}", offset + size));
}

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) {
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t hash = 0xCBF29CE484222325 ^ (seed * 0x9E3779B97F4A7C15);
  for (size_t i = 0; i < size; ++i) hash = (hash ^ at[i]) * 0x100000001B3;
  hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
  return hash ^ (hash >> 32);
}

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace retort
