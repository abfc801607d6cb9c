// BMP: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits, not compressed. No torch here.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "core/bytes.h"
#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

/// Little-endian numbers of a file; 0 beyond its end.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  uint32_t number(size_t at, size_t size) const {
    return static_cast<uint32_t>(little_endian(bytes_.substr(std::min(at, bytes_.size()), size)));
  }

 private:
  std::string_view bytes_;
};

struct BmpHeader {
  size_t pixels_at = 0, palette_at = 0;
  int64_t width = 0, height = 0;
  bool from_top = false;
  uint32_t bits = 0, compression = 0, colours = 0;
  size_t colour_size = 4;
  std::array<uint32_t, 3> masks{};  ///< of red, green, blue in a pixel of 16 or 32 bits
  int64_t row_bytes() const { return (width * bits + 31) / 32 * 4; }
};

constexpr uint32_t kNone = 0, kBitFields = 3, kAlphaBitFields = 6;

BmpHeader read_header(std::string_view file) {
  const Bytes bytes(file);
  constexpr size_t kFileHeader = 14, kOldHeader = 12, kInfoHeader = 40;
  BmpHeader header;
  header.pixels_at = bytes.number(10, 4);
  const size_t size = bytes.number(kFileHeader, 4);
  if (size == kOldHeader) {
    header.width = bytes.number(18, 2);
    header.height = bytes.number(20, 2);
    header.bits = bytes.number(24, 2);
    header.colour_size = 3;
  } else {
    const auto height = static_cast<int32_t>(bytes.number(22, 4));
    header.width = static_cast<int32_t>(bytes.number(18, 4));
    header.height = std::abs(int64_t{height});
    header.from_top = height < 0;
    header.bits = bytes.number(28, 2);
    header.compression = bytes.number(30, 4);
    header.colours = bytes.number(46, 4);
  }
  const bool fields = header.compression == kBitFields || header.compression == kAlphaBitFields;
  header.masks = header.bits == 16 ? std::array<uint32_t, 3>{0x7C00, 0x3E0, 0x1F}
                                   : std::array<uint32_t, 3>{0xFF0000, 0xFF00, 0xFF};
  for (size_t c = 0; fields && c < 3; ++c)
    header.masks[c] = bytes.number(kFileHeader + kInfoHeader + 4 * c, 4);
  header.palette_at = kFileHeader + size;
  if (fields && size == kInfoHeader)
    header.palette_at += header.compression == kBitFields ? 12 : 16;
  if (header.bits <= 8 && (header.colours == 0 || header.colours > 1u << header.bits))
    header.colours = 1u << header.bits;
  return header;
}

/// The bits under a mask, stretched to 0 to 255.
uint8_t masked(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const uint64_t most = mask >> shift, value = (pixel & mask) >> shift;
  return static_cast<uint8_t>((value * 255 + most / 2) / most);
}

void refuse_others(const EncodedImage& file, const BmpHeader& header) {
  const bool known_bits = header.bits == 1 || header.bits == 4 || header.bits == 8 ||
                          header.bits == 16 || header.bits == 24 || header.bits == 32;
  const bool plain = header.compression == kNone || header.compression == kBitFields ||
                     header.compression == kAlphaBitFields;
  if (known_bits && plain) return;
  throw DataError({"reading '" + file.path + "'",
                   "a BMP of " + std::to_string(header.bits) + " bits a pixel, compression " +
                       std::to_string(header.compression),
                   "1, 4, 8, 16, 24 or 32 bits, not compressed",
                   "convert it, for example: convert IN.bmp OUT.png"});
}

}  // namespace

DecodedImage decode_bmp(const EncodedImage& file) {
  const BmpHeader header = read_header(file.bytes);
  refuse_others(file, header);
  if (header.width < 1 || header.height < 1) check_size(file, header.width, header.height, 0, 0);
  check_size(file, header.width, header.height,
             to_int64(header.pixels_at) + header.row_bytes() * header.height,
             header.width * header.height * 3);
  DecodedImage image{header.width, header.height, 3, {}};
  if (file.header_only) return image;
  const Bytes bytes(file.bytes);
  image.pixels.reserve(to_size(image.width * image.height * 3));
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t stored = header.from_top ? y : image.height - 1 - y;
    const size_t row = header.pixels_at + to_size(stored * header.row_bytes());
    for (int64_t x = 0; x < image.width; ++x) {
      const size_t first_bit = to_size(x) * header.bits;
      uint32_t pixel = bytes.number(row + first_bit / 8, (header.bits + 7) / 8);
      if (header.bits < 8)
        pixel = pixel >> (8 - header.bits - first_bit % 8) & ((1u << header.bits) - 1);
      if (header.bits <= 8) {
        if (pixel >= header.colours)
          throw DataError::damaged(file.path, "a BMP with a colour beyond its palette");
        pixel = bytes.number(header.palette_at + pixel * header.colour_size, 3);
      }
      const bool coloured = header.bits <= 8 || header.bits == 24;
      for (size_t c = 0; c < 3; ++c)
        image.pixels.push_back(coloured ? static_cast<uint8_t>(pixel >> 8 * (2 - c))
                                        : masked(pixel, header.masks[c]));
    }
  }
  return image;
}

}  // namespace retort::data
