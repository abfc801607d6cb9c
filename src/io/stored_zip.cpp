// Writes zips of stored members by hand: libarchive's own bytes vary with its version and the
// clock, and this works where libarchive is absent. No torch here.
#include <array>
#include <cstdint>

#include "core/file.h"
#include "io/archive.h"
#include "io/crc32.h"
#include "retort/core/error.h"

namespace retort {
namespace {

// 1 January 1980, the first date a zip can hold.
constexpr uint16_t kDate = 0x0021;
constexpr uint16_t kVersion = 20;
constexpr uint16_t kUtf8Names = 0x0800;
constexpr uint64_t kLargest = 0xFFFFFFFEu;

void put16(std::string& out, uint32_t value) {
  out += static_cast<char>(value & 0xFF);
  out += static_cast<char>(value >> 8 & 0xFF);
}

void put32(std::string& out, uint64_t value) {
  put16(out, value & 0xFFFF);
  put16(out, value >> 16 & 0xFFFF);
}

/// What a local header and a directory entry have in common, up to the name's length.
std::string common_fields(const std::pair<std::string, std::string>& member) {
  std::string out;
  put16(out, kVersion);
  put16(out, kUtf8Names);
  put16(out, 0);  // stored
  put16(out, 0);
  put16(out, kDate);
  put32(out, crc32(member.second));
  put32(out, member.second.size());
  put32(out, member.second.size());
  put16(out, static_cast<uint32_t>(member.first.size()));
  return out;
}

/// Header of a member at `offset`, padded so that its data start at a multiple of 64 bytes: arrays
/// can then be mapped from the file.
std::string local_header(const std::string& common, const std::string& name, uint64_t offset) {
  const uint64_t unpadded = offset + 30 + name.size() + 4;
  const uint32_t padding = static_cast<uint32_t>((64 - unpadded % 64) % 64);
  std::string out = "PK\x03\x04" + common;
  put16(out, 4 + padding);
  out += name;
  put16(out, 0x4246);
  put16(out, padding);
  out.append(padding, 'Z');
  return out;
}

std::string directory_entry(const std::string& common, const std::string& name, uint64_t offset) {
  std::string out = "PK\x01\x02";
  put16(out, kVersion);
  out += common;
  out.append(12, '\0');  // no extra field, comment, disk or attributes
  put32(out, offset);
  return out + name;
}

}  // namespace

uint32_t crc32(std::string_view bytes) {
  std::array<uint32_t, 256> table;
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1) * 0xEDB88320u;
  }
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ crc >> 8;
  return ~crc;
}

void write_stored_zip(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, std::string>>& members) {
  uint64_t total = 22;
  for (const auto& [name, bytes] : members) total += 2 * name.size() + 200 + bytes.size();
  if (total > kLargest || members.size() > 0xFFFE)
    throw ResourceError({"writing '" + path.string() + "'", "more than a plain zip file can hold",
                         "less than 4 GiB", "store it as a bundle (.safetensors)"});
  write_atomically(path, [&](const Sink& sink) {
    std::string directory;
    uint64_t offset = 0;
    for (const auto& member : members) {
      const std::string common = common_fields(member);
      const std::string header = local_header(common, member.first, offset);
      directory += directory_entry(common, member.first, offset);
      sink(header.data(), header.size());
      sink(member.second.data(), member.second.size());
      offset += header.size() + member.second.size();
    }
    const uint64_t size = directory.size();
    directory.append("PK\x05\x06\0\0\0\0", 8);
    put16(directory, static_cast<uint32_t>(members.size()));
    put16(directory, static_cast<uint32_t>(members.size()));
    put32(directory, size);
    put32(directory, offset);
    put16(directory, 0);
    sink(directory.data(), directory.size());
  });
}

}  // namespace retort
