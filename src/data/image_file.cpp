// JPEG by libjpeg-turbo's TurboJPEG, PNG by libpng; both optional parts. Sizes in file headers are
// checked against the number of bytes before memory is taken. No torch here.
#include "retort/data/image_file.h"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <memory>

#include "retort/core/error.h"

#ifdef RETORT_WITH_JPEG
#include <turbojpeg.h>
#endif
#ifdef RETORT_WITH_PNG
#include <png.h>
#endif

namespace retort::data {
namespace {

constexpr int64_t kMaxSide = 30000;
constexpr int64_t kMaxPixels = int64_t{1} << 27;
constexpr std::string_view kPngMagic = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegMagic = "\xff\xd8\xff";

#if defined(RETORT_WITH_JPEG) || defined(RETORT_WITH_PNG)
// `pixels_per_byte`: what the format can pack into a byte at the very most.
void check_size(int64_t width, int64_t height, size_t bytes, int64_t pixels_per_byte,
                const std::string& path) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > kMaxPixels)
    throw DataError::damaged(path, "an image of " + size + " pixels",
                             "sides of 1 to " + std::to_string(kMaxSide) + " and at most " +
                                 std::to_string(kMaxPixels) + " pixels");
  if (width * height / pixels_per_byte > static_cast<int64_t>(bytes))
    throw DataError::damaged(path, "only " + std::to_string(bytes) + " bytes for " + size +
                                       " pixels: the file is cut off");
}
#endif

#ifdef RETORT_WITH_JPEG
DecodedImage decode_jpeg(std::string_view bytes, const std::string& path) {
  const std::unique_ptr<void, int (*)(tjhandle)> handle(tjInitDecompress(), tjDestroy);
  if (!handle) throw DataError::damaged(path, "TurboJPEG does not start");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), data, bytes.size(), &width, &height, &subsampling,
                          &colours) != 0)
    throw DataError::damaged(path,
                             std::string("a damaged JPEG header: ") + tjGetErrorStr2(handle.get()));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK)
    throw DataError({"reading '" + path + "'", "a JPEG in CMYK colours", "grey or RGB images",
                     "convert it, for example: convert IN.jpg -colorspace sRGB OUT.jpg"});
  check_size(width, height, bytes.size(), 4096, path);
  DecodedImage image{width, height, colours == TJCS_GRAY ? 1 : 3, {}};
  image.pixels.resize(static_cast<size_t>(width) * height * image.channels);
  const int status =
      tjDecompress2(handle.get(), data, bytes.size(), image.pixels.data(), width, 0, height,
                    image.channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_LIMITSCANS);
  // Photographs with a few stray bytes before a marker are common (ImageNet has some) and whole.
  const std::string_view message = status == 0 ? "" : tjGetErrorStr2(handle.get());
  const bool harmless = status != 0 && tjGetErrorCode(handle.get()) == TJERR_WARNING &&
                        message.find("extraneous bytes") != message.npos;
  if (status != 0 && !harmless)
    throw DataError::damaged(path, "damaged JPEG data: " + std::string(message));
  return image;
}
#endif

#ifdef RETORT_WITH_PNG
struct PngSource {
  const uint8_t* data;
  size_t size, position;
  char message[128];
};

extern "C" void png_take(png_structp png, png_bytep out, size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source->size - source->position) png_error(png, "the file is cut off");
  std::memcpy(out, source->data + source->position, count);
  source->position += count;
}

extern "C" void png_fail(png_structp png, png_const_charp message) {
  auto* source = static_cast<PngSource*>(png_get_error_ptr(png));
  std::strncpy(source->message, message, sizeof source->message - 1);
  png_longjmp(png, 1);
}

extern "C" void png_ignore(png_structp, png_const_charp) {}

// The frames between setjmp and longjmp hold plain values only: no destructor is skipped.
bool png_header(png_structp png, png_infop info, PngSource* source) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_read_fn(png, source, png_take);
  png_read_info(png, info);
  const bool grey = !(png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR);
  if (!grey) png_set_palette_to_rgb(png);
  if (grey) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool png_pixels(png_structp png, uint8_t** rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

DecodedImage decode_png(std::string_view bytes, const std::string& path) {
  struct State {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~State() { png_destroy_read_struct(&png, &info, nullptr); }
  } state;
  PngSource source{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), 0, {}};
  state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_fail, png_ignore);
  state.info = state.png ? png_create_info_struct(state.png) : nullptr;
  if (!state.info) throw DataError::damaged(path, "libpng does not start");
  if (!png_header(state.png, state.info, &source))
    throw DataError::damaged(path, std::string("a damaged PNG header: ") + source.message);
  DecodedImage image{png_get_image_width(state.png, state.info),
                     png_get_image_height(state.png, state.info),
                     png_get_channels(state.png, state.info),
                     {}};
  check_size(image.width, image.height, bytes.size(), 8 * 1032, path);  // deflate's best ratio
  const size_t row_bytes = static_cast<size_t>(image.width) * image.channels;
  if (png_get_rowbytes(state.png, state.info) != row_bytes ||
      (image.channels != 1 && image.channels != 3))
    throw DataError::damaged(path, "a PNG of " + std::to_string(image.channels) + " channels");
  image.pixels.resize(row_bytes * image.height);
  std::vector<uint8_t*> rows(image.height);
  for (int64_t y = 0; y < image.height; ++y) rows[y] = image.pixels.data() + y * row_bytes;
  if (!png_pixels(state.png, rows.data()))
    throw DataError::damaged(path, std::string("damaged PNG data: ") + source.message);
  return image;
}
#endif

// Triangle-filter weights of one output sample in Pillow's fixed point, so that results agree.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};
constexpr int kPrecision = 22;

std::vector<Taps> triangle_taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> taps(out);
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first =
        std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - support + 0.5)));
    const auto last =
        std::min<int64_t>(in, static_cast<int64_t>(std::floor(centre + support + 0.5)));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = first; x < last; ++x) {
      const double distance = std::abs((static_cast<double>(x) - centre + 0.5) / support);
      weights.push_back(std::max(0.0, 1.0 - distance));
      sum += weights.back();
    }
    taps[i].first = first;
    for (const double w : weights)
      taps[i].weights.push_back(static_cast<int32_t>(std::lround(w / sum * (1 << kPrecision))));
  }
  return taps;
}

// Resamples the middle dimension of [outer, in, inner] samples.
std::vector<uint8_t> resample(const std::vector<uint8_t>& pixels, int64_t outer, int64_t in,
                              int64_t inner, int64_t out) {
  if (in == out) return pixels;
  const std::vector<Taps> taps = triangle_taps(in, out);
  std::vector<uint8_t> result(outer * out * inner);
  std::vector<int32_t> sums(inner);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < out; ++i) {
      std::fill(sums.begin(), sums.end(), 1 << (kPrecision - 1));
      const uint8_t* source = pixels.data() + (o * in + taps[i].first) * inner;
      for (const int32_t weight : taps[i].weights)
        for (int64_t k = 0; k < inner; ++k) sums[k] += weight * *source++;
      uint8_t* target = result.data() + (o * out + i) * inner;
      for (int64_t k = 0; k < inner; ++k)
        target[k] = static_cast<uint8_t>(std::clamp(sums[k] >> kPrecision, 0, 255));
    }
  return result;
}

}  // namespace

#ifdef RETORT_WITH_JPEG
bool jpeg_available() {
  return true;
}
#else
bool jpeg_available() {
  return false;
}
static DecodedImage decode_jpeg(std::string_view, const std::string& path) {
  throw ResourceError::absent("reading '" + path + "'", "TurboJPEG", "libturbojpeg0-dev");
}
#endif

#ifdef RETORT_WITH_PNG
bool png_available() {
  return true;
}

std::string encode_png(const uint8_t* interleaved, int64_t width, int64_t height,
                       int64_t channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, interleaved, 0, nullptr))
    throw ResourceError({"writing a PNG image", image.message, {}, {}});
  bytes.resize(size);
  return bytes;
}
#else
bool png_available() {
  return false;
}
static DecodedImage decode_png(std::string_view, const std::string& path) {
  throw ResourceError::absent("reading '" + path + "'", "libpng", "libpng-dev");
}
std::string encode_png(const uint8_t*, int64_t, int64_t, int64_t) {
  throw ResourceError::absent("writing a PNG image", "libpng", "libpng-dev");
}
#endif

DecodedImage decode_image(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with(kJpegMagic)) return decode_jpeg(bytes, path);
  if (bytes.starts_with(kPngMagic)) return decode_png(bytes, path);
  throw DataError({"reading '" + path + "'",
                   bytes.empty() ? "an empty file" : "a file that is neither JPEG nor PNG",
                   "JPEG and PNG images", "remove the file or convert it"});
}

DecodedImage resize_and_crop(const DecodedImage& image, int64_t side) {
  const int64_t shorter = std::min(image.width, image.height);
  const int64_t width = side * image.width / shorter, height = side * image.height / shorter;
  DecodedImage result{side, side, image.channels, {}};
  std::vector<uint8_t> pixels =
      resample(image.pixels, image.height, image.width, image.channels, width);
  pixels = resample(pixels, 1, image.height, width * image.channels, height);
  // Half-way offsets go to the even pixel, as Python rounds.
  const int64_t left = std::llrint(std::nearbyint(static_cast<double>(width - side) / 2));
  const int64_t top = std::llrint(std::nearbyint(static_cast<double>(height - side) / 2));
  for (int64_t y = 0; y < side; ++y) {
    const auto row = pixels.begin() + ((top + y) * width + left) * image.channels;
    result.pixels.insert(result.pixels.end(), row, row + side * image.channels);
  }
  return result;
}

DecodedImage to_channels(const DecodedImage& image, int64_t channels) {
  if (image.channels == channels) return image;
  DecodedImage result{image.width, image.height, channels, {}};
  const int64_t count = image.width * image.height;
  result.pixels.resize(count * channels);
  const uint8_t* in = image.pixels.data();
  uint8_t* out = result.pixels.data();
  for (int64_t i = 0; i < count; ++i) {
    if (channels == 1)  // (0.299, 0.587, 0.114) in 16-bit fixed point
      out[i] = static_cast<uint8_t>(
          (in[3 * i] * 19595 + in[3 * i + 1] * 38470 + in[3 * i + 2] * 7471 + 0x8000) >> 16);
    else
      std::fill_n(out + 3 * i, 3, in[i]);
  }
  return result;
}

}  // namespace retort::data
