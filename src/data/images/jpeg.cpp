// JPEG by libjpeg-turbo's TurboJPEG, an optional part. No torch here.
#include <memory>

#include "core/bytes.h"
#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_JPEG
#include <turbojpeg.h>
#endif

namespace retort::data {

#ifdef RETORT_WITH_JPEG
namespace {

using Handle = std::unique_ptr<void, int (*)(tjhandle)>;

/// What the segments before the first scan say.
struct Segments {
  int orientation = 1;
  bool adobe = false;
};

uint8_t byte_at(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

Segments segments_of(std::string_view bytes) {
  constexpr uint8_t kApp1 = 0xE1, kApp14 = 0xEE, kScan = 0xDA;
  constexpr std::string_view kExif("Exif\0\0", 6), kAdobe("Adobe");
  Segments found;
  for (size_t at = 2; at + 4 <= bytes.size() && byte_at(bytes, at) == 0xFF;) {
    const uint8_t marker = byte_at(bytes, at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == kScan) break;
    const size_t length = big_endian(bytes.substr(at + 2, 2));
    if (length < 2) break;
    const std::string_view content = bytes.substr(at + 4, length - 2);
    if (marker == kApp1 && content.starts_with(kExif))
      found.orientation = exif_orientation(content.substr(kExif.size()));
    if (marker == kApp14 && content.starts_with(kAdobe)) found.adobe = true;
    at += 2 + length;
  }
  return found;
}

/// [n] pixels of inks to RGB, as Pillow rounds. Adobe stores how much light an ink lets through.
std::vector<uint8_t> rgb_of(const std::vector<uint8_t>& inks, bool adobe) {
  std::vector<uint8_t> rgb;
  rgb.reserve(inks.size() / 4 * 3);
  for (size_t i = 0; i < inks.size(); i += 4) {
    const int light = adobe ? inks[i + 3] : 255 - inks[i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int ink = adobe ? 255 - inks[i + c] : inks[i + c];
      const int product = ink * light + 128;
      rgb.push_back(static_cast<uint8_t>(light - ((product >> 8) + product) / 256));
    }
  }
  return rgb;
}

void decompress(tjhandle handle, const EncodedImage& file, DecodedImage& image, int samples) {
  const int format = samples == 1 ? TJPF_GRAY : samples == 3 ? TJPF_RGB : TJPF_CMYK;
  image.pixels.resize(to_size(image.width * image.height * samples));
  const int status =
      tjDecompress2(handle, reinterpret_cast<const uint8_t*>(file.bytes.data()), file.bytes.size(),
                    image.pixels.data(), static_cast<int>(image.width), 0,
                    static_cast<int>(image.height), format, TJFLAG_LIMITSCANS);
  if (status == 0) return;
  // Photographs with a few stray bytes before a marker are common (ImageNet has some) and whole.
  const std::string message = tjGetErrorStr2(handle);
  if (tjGetErrorCode(handle) != TJERR_WARNING ||
      message.find("extraneous bytes") == std::string::npos)
    throw DataError::damaged(file.path, "damaged JPEG data: " + message);
}

}  // namespace

bool jpeg_available() {
  return true;
}

DecodedImage decode_jpeg(const EncodedImage& file) {
  const Handle handle(tjInitDecompress(), tjDestroy);
  if (!handle) throw DataError::damaged(file.path, "TurboJPEG does not start");
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), reinterpret_cast<const uint8_t*>(file.bytes.data()),
                          file.bytes.size(), &width, &height, &subsampling, &colours) != 0)
    throw DataError::damaged(file.path,
                             std::string("a damaged JPEG header: ") + tjGetErrorStr2(handle.get()));
  const bool inks = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const int samples = inks ? 4 : colours == TJCS_GRAY ? 1 : 3;
  const int64_t pixels = int64_t{width} * height;
  check_size(file, width, height, pixels / 4096, pixels * (inks ? 7 : samples));
  const Segments segments = segments_of(file.bytes);
  DecodedImage image{width, height, samples == 1 ? 1 : 3, {}};
  image.facts.orientation = segments.orientation;
  image.facts.cmyk = inks;
  if (file.header_only) return image;
  decompress(handle.get(), file, image, samples);
  if (inks) image.pixels = rgb_of(image.pixels, segments.adobe);
  return image;
}
#else
bool jpeg_available() {
  return false;
}
DecodedImage decode_jpeg(const EncodedImage& file) {
  throw ResourceError::absent("reading '" + file.path + "', a JPEG", "TurboJPEG",
                              "libturbojpeg0-dev");
}
#endif

}  // namespace retort::data
