// Files that are written aside, synced and renamed, on POSIX. No torch here.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/descriptor.h"
#include "core/file.h"
#include "core/leftovers.h"
#include "core/sizes.h"

namespace retort {
namespace {

constexpr const char* kAside = ".partial-";

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

void make_folder(const std::filesystem::path& folder, const std::string& doing) {
  std::error_code problem;
  if (!folder.empty()) std::filesystem::create_directories(folder, problem);
  if (!problem) return;
  errno = problem.value();
  throw ResourceError::io(doing);
}

void write_all(int file, const void* data, size_t size, const std::string& doing) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(file, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw ResourceError::io(doing);
    at += written;
    size -= to_size(written);
  }
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
  make_folder(path.parent_path(), doing);
  std::string aside;
  Descriptor file(open_aside(path, aside));
  if (file.get() < 0) throw ResourceError::io(doing);
  try {
    fill([&](const void* data, size_t size) { write_all(file.get(), data, size, doing); });
    if (::fsync(file.get()) != 0 || ::rename(aside.c_str(), path.c_str()) != 0 || !file.close())
      throw ResourceError::io(doing);
  } catch (...) {
    ::unlink(aside.c_str());
    throw;
  }
  sync_folder(path.parent_path());
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

}  // namespace retort
