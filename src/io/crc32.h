// The checksum of zip and gzip. No torch here.
#pragma once

#include <cstdint>
#include <string_view>

namespace retort {

/// CRC-32 (polynomial 0xEDB88320, reflected), as in zlib.
uint32_t crc32(std::string_view bytes);

}  // namespace retort
