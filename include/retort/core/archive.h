// Compressed files and archives, by libarchive: gzip, zip (npz, .pt), tar. Where the build has no
// libarchive, every call throws ResourceError::absent. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace retort {

bool archives_available();

/// The decompressed content of a .gz file; at most `limit` bytes, more is a DataError.
std::string read_gzip(const std::filesystem::path& path, uint64_t limit);

/// Calls `take(name, bytes)` for every plain file of a zip or tar archive (compressed or not), in
/// order. `limit` bounds the sum of all members. Damaged archives are DataErrors.
void read_archive(const std::filesystem::path& path, uint64_t limit,
                  const std::function<void(const std::string& name, std::string bytes)>& take);
/// The same from memory; `path` is only for messages.
void read_archive_bytes(
    std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
    const std::function<void(const std::string& name, std::string bytes)>& take);

/// Writes a zip of stored (uncompressed) members atomically, in the given order, without times:
/// same content, same bytes.
void write_stored_zip(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace retort
