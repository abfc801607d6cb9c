// Reading and atomic writing on POSIX. No torch here.
#include "retort/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "retort/core/error.h"

namespace retort {
namespace {

constexpr const char* kAside = ".partial-";

/// An open file descriptor, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

/// Opens a plain file for reading; its size comes back in `size`.
int open_plain(const std::filesystem::path& path, uint64_t& size) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) throw DataError::missing(path.string(), "a file");
  struct stat about {};
  if (file < 0 || ::fstat(file, &about) != 0)
    throw ResourceError::io("reading '" + path.string() + "'");
  if (!S_ISREG(about.st_mode)) {
    ::close(file);
    throw DataError(Report{"reading '" + path.string() + "'",
                           S_ISDIR(about.st_mode) ? "it is a folder" : "it is not a plain file",
                           "a file", "check the path"});
  }
  size = static_cast<uint64_t>(about.st_size);
  return file;
}

/// Renaming over a device, a pipe or a folder would replace or break it.
void require_replaceable(const std::filesystem::path& path, const std::string& doing) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return;
  throw ResourceError(Report{
      doing,
      std::filesystem::is_directory(status) ? "it is a folder" : "it is there and not a plain file",
      "a new name, or a plain file to replace", "choose another name"});
}

}  // namespace

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor handle(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() >= 0) ::fsync(handle.get());
}

void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const Sink&)>& fill) {
  const std::string doing = "writing '" + path.string() + "'";
  require_replaceable(path, doing);
  const std::filesystem::path folder = path.parent_path();
  std::error_code problem;
  if (!folder.empty()) std::filesystem::create_directories(folder, problem);
  if (problem) {
    errno = problem.value();
    throw ResourceError::io(doing);
  }
  std::string aside = path.string() + kAside + "XXXXXX";
  Descriptor file(::mkstemp(aside.data()));
  if (file.get() < 0) throw ResourceError::io(doing);
  try {
    fill([&](const void* data, size_t size) {
      const char* at = static_cast<const char*>(data);
      while (size > 0) {
        const ssize_t written = ::write(file.get(), at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw ResourceError::io(doing);
        at += written;
        size -= static_cast<size_t>(written);
      }
    });
    ::fchmod(file.get(), 0644);
    if (::fsync(file.get()) != 0 || !file.close()) throw ResourceError::io(doing);
    if (::rename(aside.c_str(), path.c_str()) != 0) throw ResourceError::io(doing);
  } catch (...) {
    ::unlink(aside.c_str());
    throw;
  }
  sync_folder(folder);
}

void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
  write_atomically(path, [&](const Sink& sink) { sink(bytes.data(), bytes.size()); });
}

void remove_leftovers(const std::filesystem::path& path) {
  const std::string start = path.filename().string() + kAside;
  std::error_code ignored;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with(start))
      std::filesystem::remove(entry.path(), ignored);
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size > limit)
    throw DataError::damaged(path.string(), fmt::format("it holds {} bytes", size),
                             fmt::format("at most {} bytes", limit));
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(file.get(), bytes.data() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ResourceError::io("reading '" + path.string() + "'");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size == 0) return;
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map == MAP_FAILED) throw ResourceError::io("mapping '" + path.string() + "'");
  data_ = static_cast<const std::byte*>(map);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
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
