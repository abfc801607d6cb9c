// TIFF by libtiff, an optional part: the first page. Rows of grey and RGB samples are taken as they
// are; tiles, palettes, inks and the like go through libtiff's own conversion. No torch here.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_TIFF
#include <tiffio.h>
#endif

namespace retort::data {

#ifdef RETORT_WITH_TIFF
namespace {

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF*)>;

struct TiffSource {
  std::string_view bytes;
  size_t position = 0;
};

TiffSource* source_of(thandle_t handle) {
  return static_cast<TiffSource*>(handle);
}

tmsize_t tiff_take(thandle_t handle, void* out, tmsize_t count) {
  TiffSource* source = source_of(handle);
  const size_t start = std::min(source->position, source->bytes.size());
  const size_t taken = std::min(source->bytes.size() - start, to_size(count));
  std::memcpy(out, source->bytes.data() + start, taken);
  source->position = start + taken;
  return static_cast<tmsize_t>(taken);
}

tmsize_t tiff_put(thandle_t, void*, tmsize_t) {
  return 0;
}

toff_t tiff_seek(thandle_t handle, toff_t to, int from) {
  TiffSource* source = source_of(handle);
  const size_t base = from == SEEK_SET   ? 0
                      : from == SEEK_CUR ? source->position
                                         : source->bytes.size();
  source->position = base + static_cast<size_t>(to);
  return source->position;
}

int tiff_close(thandle_t) {
  return 0;
}

toff_t tiff_size(thandle_t handle) {
  return source_of(handle)->bytes.size();
}

int keep_message(TIFF*, void* text, const char*, const char* format, va_list values) {
  auto* message = static_cast<std::string*>(text);
  char line[200];
  std::vsnprintf(line, sizeof line, format, values);
  if (message->empty()) *message = line;
  return 1;
}

int ignore_message(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

/// Errors go into `message`; no block is larger than `most` bytes.
Tiff open_tiff(TiffSource& source, std::string& message, int64_t most) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), most);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_message, &message);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_message, nullptr);
  // "m": not mapped; "O": one page's table at a time.
  return Tiff(TIFFClientOpenExt("image", "rmO", &source, tiff_take, tiff_put, tiff_seek, tiff_close,
                                tiff_size, nullptr, nullptr, options.get()),
              TIFFClose);
}

/// What a page says of its samples.
struct TiffPage {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, samples = 1, kind = 0, form = SAMPLEFORMAT_UINT, planes = PLANARCONFIG_CONTIG;
  uint16_t orientation = 1;
  bool tiled = false;

  explicit TiffPage(TIFF* tiff) : tiled(TIFFIsTiled(tiff) != 0) {
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &kind);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &form);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    if (orientation < 1 || orientation > 8) orientation = 1;
  }
  bool grey() const { return kind == PHOTOMETRIC_MINISBLACK || kind == PHOTOMETRIC_MINISWHITE; }
  bool plain() const {
    return !tiled && planes == PLANARCONFIG_CONTIG && (bits == 8 || bits == 16) &&
           ((grey() && samples >= 1) || (kind == PHOTOMETRIC_RGB && samples >= 3));
  }
};

bool read_rows(TIFF* tiff, const TiffPage& page, DecodedImage& image) {
  const size_t size = size_t{page.width} * page.samples * (page.bits / 8);
  if (TIFFScanlineSize(tiff) != static_cast<tmsize_t>(size)) return false;
  std::vector<uint8_t> row(size);
  uint8_t* out = image.pixels.data();
  const bool inverted = page.kind == PHOTOMETRIC_MINISWHITE;
  for (uint32_t y = 0; y < page.height; ++y) {
    if (TIFFReadScanline(tiff, row.data(), y, 0) < 0) return false;
    for (size_t x = 0; x < page.width; ++x)
      for (size_t c = 0; c < to_size(image.channels); ++c) {
        const size_t at = x * page.samples + c;
        uint16_t value = row[page.bits == 8 ? at : 0];
        if (page.bits == 16) {
          std::memcpy(&value, row.data() + 2 * at, 2);
          image.facts.largest = std::max<int64_t>(image.facts.largest, value);
          value >>= 8;
        }
        *out++ = static_cast<uint8_t>(inverted ? 255 - value : value);
      }
  }
  return true;
}

bool read_converted(TIFF* tiff, const TiffPage& page, DecodedImage& image) {
  std::vector<uint32_t> raster(size_t{page.width} * page.height);
  // Asked for in the orientation that it has, libtiff turns nothing.
  if (!TIFFReadRGBAImageOriented(tiff, page.width, page.height, raster.data(), page.orientation, 1))
    return false;
  uint8_t* out = image.pixels.data();
  for (const uint32_t pixel : raster) {
    *out++ = static_cast<uint8_t>(TIFFGetR(pixel));
    if (image.channels == 1) continue;
    *out++ = static_cast<uint8_t>(TIFFGetG(pixel));
    *out++ = static_cast<uint8_t>(TIFFGetB(pixel));
  }
  if (page.bits == 16) image.facts.largest = 0xFFFF;
  return true;
}

void check_samples(const EncodedImage& file, const TiffPage& page) {
  if (page.form != SAMPLEFORMAT_UINT || page.bits > 16)
    throw DataError({"reading '" + file.path + "'",
                     "a TIFF of " + std::to_string(page.bits) + "-bit " +
                         (page.form == SAMPLEFORMAT_IEEEFP ? "floating-point" : "signed or wide") +
                         " samples",
                     "unsigned samples of 1 to 16 bits", "scale it to 8 bits and write it again"});
}

}  // namespace

bool tiff_available() {
  return true;
}

DecodedImage decode_tiff(const EncodedImage& file) {
  TiffSource source{file.bytes};
  std::string message;
  constexpr int64_t kLargestBlock = int64_t{1} << 29;
  const Tiff tiff = open_tiff(source, message, kLargestBlock);
  const auto damaged = [&] {
    return DataError::damaged(
        file.path, "damaged TIFF data: " + (message.empty() ? "the file is cut off" : message));
  };
  if (!tiff) throw damaged();
  const TiffPage page(tiff.get());
  const int64_t pixels = int64_t{page.width} * page.height;
  constexpr int64_t kBestRatio = 4096;  // fax codes apart, which are for single bits
  check_size(file, page.width, page.height, pixels * (page.bits / 8) / kBestRatio, pixels * 7);
  check_samples(file, page);
  DecodedImage image{page.width, page.height, page.grey() ? 1 : 3, {}};
  image.facts.orientation = page.orientation;
  image.facts.cmyk = page.kind == PHOTOMETRIC_SEPARATED;
  image.facts.more_frames = !TIFFLastDirectory(tiff.get());
  if (file.header_only) return image;
  image.pixels.resize(to_size(pixels * image.channels));
  const bool whole =
      page.plain() ? read_rows(tiff.get(), page, image) : read_converted(tiff.get(), page, image);
  if (!whole) throw damaged();
  return image;
}
#else
bool tiff_available() {
  return false;
}
DecodedImage decode_tiff(const EncodedImage& file) {
  throw ResourceError::absent("reading '" + file.path + "', a TIFF image", "libtiff 4.5",
                              "libtiff-dev");
}
#endif

}  // namespace retort::data
