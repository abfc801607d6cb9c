// JPEG and PNG files, and the resizing that image folders need. The files are untrusted. No torch
// here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::data {

/// An image of 8-bit samples; 1 (grey) or 3 (RGB) channels.
struct DecodedImage {
  int64_t width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  ///< interleaved, [height, width, channels]
};

bool jpeg_available();
bool png_available();

/// Decodes by the leading bytes; `path` is only for messages. Grey stays grey, everything else
/// becomes RGB; alpha is dropped and 16 bits become 8, as torchvision's folder loader does.
/// DataError for damaged, oversized or other files, ResourceError where the build lacks the
/// library.
DecodedImage decode_image(std::string_view bytes, const std::string& path);

/// The bytes of a PNG file of 1 (grey), 3 (RGB) or 4 (RGB with alpha) channels; same pixels, same
/// bytes. ResourceError where the build lacks libpng.
std::string encode_png(const uint8_t* interleaved, int64_t width, int64_t height, int64_t channels);

/// Shorter side to `side` by an antialiased triangle filter, then the centre square: the same bytes
/// as Pillow's bilinear resize with torchvision's Resize and CenterCrop.
DecodedImage resize_and_crop(const DecodedImage& image, int64_t side);

/// To 1 channel (ITU-R 601 luma, rounded) or 3 (grey repeated).
DecodedImage to_channels(const DecodedImage& image, int64_t channels);

}  // namespace retort::data
