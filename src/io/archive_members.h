// Members of an archive, those that are wanted, and content whose own header says how long it is.
// No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace retort {

/// Receives a plain file of an archive.
using TakeMember = std::function<void(const std::string& name, std::string bytes)>;
/// Whether a member is to be unpacked, given the size that the archive declares; may throw.
using WantMember = std::function<bool(const std::string& name, uint64_t size)>;

/// The bytes that content has by its own header, given up to 256 KiB of its start; 0 where it does
/// not say. May throw.
using SizeOfContent = std::function<uint64_t(std::string_view start, const std::string& name)>;

/// As read_archive_bytes (core/archive.h), for those members that `want` asks for. Each is bounded
/// by its declared size, whose memory is counted before: ResourceError where it is not there. Where
/// `size_of` tells another length than the archive, no more than the start is unpacked.
void read_members(std::span<const std::byte> bytes, const std::string& path, uint64_t limit,
                  const TakeMember& take, const WantMember& want,
                  const SizeOfContent& size_of = {});

/// As read_gzip (core/archive.h), for content of which `size_of` tells the length.
std::string read_gzip_of(const std::filesystem::path& path, uint64_t limit,
                         const SizeOfContent& size_of);

}  // namespace retort
