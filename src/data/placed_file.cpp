// No torch here.
#include "data/placed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/sizes.h"

namespace retort::data {

PlacedFile::PlacedFile(const std::filesystem::path& path, uint64_t size)
    : path_(path.string()), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_.get() < 0) throw ResourceError::io("opening '" + path_ + "'");
  // Space is taken beforehand, so that a full disk shows now; what another plan left may be longer.
  if (::ftruncate(file_.get(), to_int64(size)) != 0)
    throw ResourceError::io("making '" + path_ + "'");
  errno = ::posix_fallocate(file_.get(), 0, to_int64(size));
  if (errno != 0) throw ResourceError::io("making '" + path_ + "'");
}

void PlacedFile::put(const void* data, uint64_t size, uint64_t at) const {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t wrote = ::pwrite(file_.get(), from, size, to_int64(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) throw ResourceError::io("writing '" + path_ + "'");
    from += wrote;
    at += to_size(wrote);
    size -= to_size(wrote);
  }
}

void PlacedFile::sync() const {
  if (::fdatasync(file_.get()) != 0) throw ResourceError::io("writing '" + path_ + "'");
}

}  // namespace retort::data
