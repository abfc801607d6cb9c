// Reading and atomic writing on POSIX. No torch here.
#include "core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "core/leftovers.h"
#include "core/memory.h"
#include "core/plain_file.h"
#include "retort/core/error.h"

namespace retort {
namespace {

constexpr const char* kAside = ".partial-";
constexpr uint64_t kMuch = uint64_t{64} << 20;  // below this no memory is counted beforehand

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

void require_plain(const struct stat& about, const std::filesystem::path& path) {
  if (S_ISREG(about.st_mode)) return;
  throw DataError(ErrorMessage{"reading '" + path.string() + "'",
                               S_ISDIR(about.st_mode) ? "it is a folder" : "it is not a plain file",
                               "a file", "check the path"});
}

/// Opens a plain file for reading; its size comes back in `size`. What is no plain file is not even
/// opened (a pipe would wait for its writer), and not waited for should it change in between.
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
  size = static_cast<uint64_t>(about.st_size);
  return file;
}

/// Reads up to `size` bytes, fewer where the file ends; returns their number.
size_t read_at(int file, void* into, size_t size, uint64_t offset,
               const std::filesystem::path& path) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(file, static_cast<char*>(into) + have, size - have,
                                static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw unreadable(path);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return have;
}

bool same_file(int open, const std::filesystem::path& path) {
  struct stat here {
  }, there{};
  return ::fstat(open, &here) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/// Removes a file that was being written where its writer, who would hold its lock, is gone.
bool remove_if_dead(const std::filesystem::path& aside) {
  const Descriptor file(::open(aside.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
         same_file(file.get(), aside) && ::unlink(aside.c_str()) == 0;
}

/// A new, locked file beside `path`, whose name comes back in `aside`. What a kill left there
/// before makes way; what another process is writing is left to it.
int open_aside(const std::filesystem::path& path, std::string& aside) {
  constexpr int kMostWriters = 64;
  for (int n = 0; n < kMostWriters; ++n) {
    aside = path.string() + kAside + std::to_string(n);
    for (int tries = 0; tries < 3; ++tries) {
      const int file = ::open(aside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file < 0 && errno != EEXIST) return -1;
      if (file < 0 && !remove_if_dead(aside)) break;
      if (file < 0) continue;
      // Between the two calls someone who was removing leftovers may have taken it for one.
      ::flock(file, LOCK_EX);  // a disk without locks sweeps nothing
      if (same_file(file, aside)) return file;
      ::close(file);
    }
  }
  errno = EEXIST;
  return -1;
}

/// Renaming over a device, a pipe or a folder would replace or break it.
void require_replaceable(const std::filesystem::path& path, const std::string& doing) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return;
  throw ResourceError(ErrorMessage{
      doing,
      std::filesystem::is_directory(status) ? "it is a folder" : "it is there and not a plain file",
      "a new name, or a plain file to replace", "choose another name"});
}

/// A map that is there now, or was once: then `begin` is 0 and the note is used again.
struct MapNote {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::string path;
  MapNote* next = nullptr;
};

// What a handler of SIGBUS, which knows an address alone, can reach. Notes are never freed.
std::atomic<MapNote*> first_note{nullptr};
std::mutex notes_mutex;

void note_map(const void* data, size_t size, std::string path) {
  const std::lock_guard<std::mutex> lock(notes_mutex);
  MapNote* note = first_note;
  while (note && note->begin != 0) note = note->next;
  const bool fresh = !note;
  if (fresh) note = new MapNote;
  note->path = std::move(path);
  note->size = size;
  note->begin = reinterpret_cast<uintptr_t>(data);
  if (fresh) {
    note->next = first_note;
    first_note = note;
  }
}

void forget_map(const void* data) {
  const std::lock_guard<std::mutex> lock(notes_mutex);
  for (MapNote* note = first_note; note; note = note->next)
    if (note->begin == reinterpret_cast<uintptr_t>(data)) note->begin = 0;
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
  std::string aside;
  Descriptor file(open_aside(path, aside));
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
    if (::fsync(file.get()) != 0 || ::rename(aside.c_str(), path.c_str()) != 0 || !file.close())
      throw ResourceError::io(doing);
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
    if (entry.path().filename().string().starts_with(start)) remove_if_dead(entry.path());
}

void remove_leftovers_in(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::skip_permission_denied, ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind(kAside);
    if (at == std::string::npos || at == 0) continue;
    const std::string ending = name.substr(at + std::strlen(kAside));
    if (ending.size() <= 6 && entry.is_regular_file(ignored)) remove_if_dead(entry.path());
  }
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size > limit)
    throw DataError::damaged(path.string(), fmt::format("it holds {} bytes", size),
                             fmt::format("at most {} bytes", limit));
  if (size > kMuch)
    require_memory("reading '" + path.string() + "'", static_cast<int64_t>(size),
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

MappedFile::MappedFile(const std::filesystem::path& path) {
  uint64_t size = 0;
  const Descriptor file(open_plain(path, size));
  if (size == 0) return;
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map == MAP_FAILED) throw unreadable(path);
  data_ = static_cast<const std::byte*>(map);
  size_ = size;
  note_map(data_, size_, path.string());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (!data_) return;
  forget_map(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

const char* mapped_file_at(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const MapNote* note = first_note; note; note = note->next) {
    const uintptr_t begin = note->begin;
    if (begin != 0 && at >= begin && at - begin < note->size) return note->path.c_str();
  }
  return nullptr;
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
