// One decoder for each kind of image file. Sizes in headers are checked against the number of bytes
// and the free memory before memory is taken. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "retort/data/image_file.h"

namespace retort::data {

/// An image file in memory, and how much of it is wanted.
struct EncodedImage {
  std::string_view bytes;
  const std::string& path;   ///< for messages
  bool header_only = false;  ///< size, channels and facts, but no pixels
};

/// DataError for sides that are out of bounds or for a file shorter than `least_bytes`, which
/// width x height pixels take at the very least; ResourceError where `memory` bytes, which decoding
/// takes, are not free.
void check_size(const EncodedImage& file, int64_t width, int64_t height, int64_t least_bytes,
                int64_t memory);

constexpr int64_t kMaxSide = 30000;

/// As the files say; not turned upright.
DecodedImage decode_jpeg(const EncodedImage& file);
DecodedImage decode_png(const EncodedImage& file);
DecodedImage decode_webp(const EncodedImage& file);
DecodedImage decode_gif(const EncodedImage& file);
DecodedImage decode_tiff(const EncodedImage& file);
DecodedImage decode_bmp(const EncodedImage& file);
DecodedImage decode_pnm(const EncodedImage& file);

/// The orientation, 1 to 8, in the TIFF structure that EXIF data are; 1 where it says none.
int exif_orientation(std::string_view exif);

/// The pixels turned and mirrored so that orientation 1 is reached.
DecodedImage turned_upright(DecodedImage image);

}  // namespace retort::data
