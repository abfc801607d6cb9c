// Files that are read at places, and the names of those that are mapped. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace retort {

/// A plain file that is read at places, by several threads at once. DataError where it is missing
/// or no plain file.
class PlainFile {
 public:
  explicit PlainFile(std::filesystem::path path);
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;
  ~PlainFile();
  uint64_t size() const { return size_; }
  /// Exactly `size` bytes; DataError where there are fewer.
  void read(void* into, size_t size, uint64_t offset) const;

 private:
  std::filesystem::path path_;
  uint64_t size_ = 0;
  int file_ = -1;
};

/// The name of the mapped file (core/file.h) that an address lies in, or null. Reading behind the
/// end of a file that was cut meanwhile raises SIGBUS: a handler, which may call this, can name it.
const char* mapped_file_at(const void* address);

}  // namespace retort
