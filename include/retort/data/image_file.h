// Image files of the usual kinds, and the resizing that image folders need. The files are
// untrusted. No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::data {

/// What a user should know of how a file was read.
struct ImageFacts {
  int orientation = 1;       ///< EXIF's 1 to 8: how the stored pixels lie
  bool cmyk = false;         ///< inks converted to RGB, without a colour profile
  int64_t largest = 0;       ///< of 16-bit samples, whose high byte is kept; 0: 8 bits or fewer
  bool more_frames = false;  ///< an animation or several pages: the first is read
};

/// An image of 8-bit samples; 1 (grey) or 3 (RGB) channels.
struct DecodedImage {
  int64_t width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  ///< interleaved, [height, width, channels]
  ImageFacts facts = {};
};

/// How images are brought to a square of a given side.
enum class Fit {
  kCrop,      ///< the shorter side to it, then the centre
  kEvalCrop,  ///< the shorter side to a seventh of it times 8 (224: 256), then the centre
  kSquash,    ///< both sides to it
};

bool jpeg_available();
bool png_available();
bool webp_available();
bool gif_available();
bool tiff_available();

/// Decodes by the leading bytes: JPEG, PNG, WebP, GIF, TIFF, BMP, PPM and its kin; `path` is only
/// for messages. Grey stays grey, everything else becomes RGB; alpha is dropped, of 16 bits the
/// high byte is kept, as torchvision's folder loader does, and CMYK is converted. `upright`: turned
/// as EXIF's orientation says. DataError for damaged, oversized or other files, ResourceError where
/// the build lacks the library or the memory is too small.
DecodedImage decode_image(std::string_view bytes, const std::string& path, bool upright = true);

/// The same from the header alone: everything but pixels and `facts.largest`.
DecodedImage decode_header(std::string_view bytes, const std::string& path, bool upright = true);

/// The bytes of a PNG file of 1 (grey), 3 (RGB) or 4 (RGB with alpha) channels; same pixels, same
/// bytes. ResourceError where the build lacks libpng.
std::string encode_png(const uint8_t* interleaved, int64_t width, int64_t height, int64_t channels);

/// To side x side by an antialiased triangle filter: the same bytes as Pillow's bilinear resize
/// with torchvision's Resize and CenterCrop. Nothing outside of the crop is computed.
DecodedImage to_square(const DecodedImage& image, int64_t side, Fit fit = Fit::kCrop);

/// To 1 channel (ITU-R 601 luma, rounded) or 3 (grey repeated).
DecodedImage to_channels(const DecodedImage& image, int64_t channels);

}  // namespace retort::data
