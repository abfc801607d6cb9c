// EXIF's orientation: found in the first directory of a TIFF structure, and undone. No torch here.
#include <cstdint>

#include "core/bytes.h"
#include "data/images/formats.h"

namespace retort::data {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;

/// Numbers of a TIFF structure in its own byte order; 0 beyond its end.
class TiffBytes {
 public:
  explicit TiffBytes(std::string_view bytes) : bytes_(bytes), big_(bytes.starts_with("MM")) {}
  bool valid() const {
    return (big_ || bytes_.starts_with("II")) && number(2, 2) == 42 && bytes_.size() >= 8;
  }
  uint64_t number(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return 0;
    const std::string_view raw = bytes_.substr(at, size);
    return big_ ? big_endian(raw) : little_endian(raw);
  }

 private:
  std::string_view bytes_;
  bool big_;
};

}  // namespace

int exif_orientation(std::string_view exif) {
  const TiffBytes tiff(exif);
  if (!tiff.valid()) return 1;
  const size_t directory = tiff.number(4, 4);
  const size_t entries = tiff.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (tiff.number(entry, 2) != kOrientationTag) continue;
    const uint64_t value = tiff.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Orientation by number: 2 mirrored, 3 turned by 180 degrees, 4 upside down mirrored, 5 transposed,
// 6 to be turned clockwise, 7 transposed across the other diagonal, 8 to be turned anticlockwise.
DecodedImage turned_upright(DecodedImage image) {
  const int orientation = image.facts.orientation;
  if (orientation == 1) return image;
  const bool swapped = orientation >= 5;
  DecodedImage result{swapped ? image.height : image.width,
                      swapped ? image.width : image.height,
                      image.channels,
                      {},
                      image.facts};
  if (image.pixels.empty()) return result;
  const bool from_right = orientation == 2 || orientation == 3 || orientation >= 7,
             from_below =
                 orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  result.pixels.resize(image.pixels.size());
  uint8_t* out = result.pixels.data();
  for (int64_t y = 0; y < result.height; ++y)
    for (int64_t x = 0; x < result.width; ++x) {
      const int64_t column = swapped ? y : x, row = swapped ? x : y;
      const int64_t stored_x = from_right ? image.width - 1 - column : column,
                    stored_y = from_below ? image.height - 1 - row : row;
      const uint8_t* in =
          image.pixels.data() + (stored_y * image.width + stored_x) * image.channels;
      for (int64_t c = 0; c < image.channels; ++c) *out++ = *in++;
    }
  return result;
}

}  // namespace retort::data
