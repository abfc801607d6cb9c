// Compressed files and archives: gzip, zip (npz, .pt), tar. Reading is by libarchive; where the
// build has none, reading throws ResourceError::absent and writing still works. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace retort {

bool archives_available();

/// The decompressed content of a .gz file of one stream, its checksum compared; at most `limit`
/// bytes, more is a DataError.
std::string read_gzip(const std::filesystem::path& path, uint64_t limit);

/// Calls `take(name, bytes)` for every plain file of a zip or tar archive (compressed or not), in
/// order. `limit` bounds the sum of all members. Damaged archives are DataErrors.
void read_archive(const std::filesystem::path& path, uint64_t limit,
                  const std::function<void(const std::string& name, std::string bytes)>& take);
/// The same from memory; `path` is only for messages.
void read_archive_bytes(
    std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
    const std::function<void(const std::string& name, std::string bytes)>& take);

/// Writes a zip of stored (uncompressed) members atomically, in the given order, without times,
/// each member's data at a multiple of 64 bytes: same content, same bytes. Below 4 GiB.
void write_stored_zip(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace retort
