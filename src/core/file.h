// Whole files: read with a limit, mapped, and written aside, synced and renamed. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace retort {

/// Receives the pieces of a file that is being written; throws ResourceError when the disk is full.
using Sink = std::function<void(const void* data, size_t size)>;

/// Writes a file under a temporary name in the same folder, syncs it and renames it over `path`.
/// On any failure the temporary file is removed and `path` is untouched. Makes missing folders.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const Sink&)>& fill);
void write_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Removes what kills in the middle of writing `path` atomically left. Only for one who may be sure
/// that no other process is writing it.
void remove_leftovers(const std::filesystem::path& path);

/// Makes names that were added to or removed from a folder last through a crash.
void sync_folder(const std::filesystem::path& folder);

/// The whole file; DataError where it is missing, not a plain file, or larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{8} << 30);

/// A read-only memory map of a whole file. Movable, unmapped on destruction.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// FNV-1a of bytes with a final mix: names data in caches and refuses mismatches. Not
/// cryptographic.
uint64_t hash_bytes(const void* data, size_t size, uint64_t seed = 0);
/// Sixteen lower-case hexadecimal digits.
std::string hex(uint64_t value);

}  // namespace retort
