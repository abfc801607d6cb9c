// PNG by libpng, an optional part. No torch here.
#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "core/bytes.h"
#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_PNG
#include <png.h>
#endif

namespace retort::data {

#ifdef RETORT_WITH_PNG
namespace {

struct PngSource {
  const uint8_t* data;
  size_t size, position;
  char message[128];
};

constexpr png_byte kExifChunk[] = "eXIf";

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
  // Passed over: libpng takes as much memory as this chunk claims. read_chunks looks into it.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kExifChunk, 1);
  png_set_read_fn(png, source, png_take);
  png_read_info(png, info);
  return true;
}

/// Asks for grey or RGB without alpha, 8 bits or, where the file has them, 16.
bool png_plan(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  const bool grey = !(png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR);
  if (!grey) png_set_palette_to_rgb(png);
  if (grey) png_set_expand_gray_1_2_4_to_8(png);
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

/// What the chunks say, wherever they stand: EXIF may come behind the pixels.
void read_chunks(std::string_view bytes, ImageFacts& facts) {
  constexpr size_t kSignature = 8, kAround = 12;  // length, name and checksum of a chunk
  for (size_t at = kSignature; at + kAround <= bytes.size();) {
    const size_t length = big_endian(bytes.substr(at, 4));
    const std::string_view name = bytes.substr(at + 4, 4);
    if (name == "eXIf") facts.orientation = exif_orientation(bytes.substr(at + 8, length));
    if (name == "acTL") facts.more_frames = true;
    at += kAround + length;
  }
}

/// Big-endian pairs to their high bytes, in place; the largest pair comes back.
int64_t keep_high_bytes(std::vector<uint8_t>& pixels) {
  int largest = 0;
  for (size_t i = 0; i < pixels.size() / 2; ++i) {
    largest = std::max(largest, pixels[2 * i] << 8 | pixels[2 * i + 1]);
    pixels[i] = pixels[2 * i];
  }
  pixels.resize(pixels.size() / 2);
  return largest;
}

}  // namespace

bool png_available() {
  return true;
}

DecodedImage decode_png(const EncodedImage& file) {
  struct State {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~State() { png_destroy_read_struct(&png, &info, nullptr); }
  } state;
  PngSource source{reinterpret_cast<const uint8_t*>(file.bytes.data()), file.bytes.size(), 0, {}};
  state.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_fail, png_ignore);
  state.info = state.png ? png_create_info_struct(state.png) : nullptr;
  if (!state.info) throw DataError::damaged(file.path, "libpng does not start");
  const auto damaged = [&](const std::string& where) {
    return DataError::damaged(file.path, "damaged PNG " + where + ": " + source.message);
  };
  if (!png_header(state.png, state.info, &source)) throw damaged("header");
  DecodedImage image{png_get_image_width(state.png, state.info),
                     png_get_image_height(state.png, state.info),
                     0,
                     {}};
  const bool deep = png_get_bit_depth(state.png, state.info) == 16;
  const int64_t packed_row = to_int64(png_get_rowbytes(state.png, state.info));
  constexpr int64_t kDeflateBest = 1032;
  check_size(file, image.width, image.height, packed_row * image.height / kDeflateBest,
             image.width * image.height * (deep ? 6 : 3));
  if (!png_plan(state.png, state.info)) throw damaged("header");
  image.channels = png_get_channels(state.png, state.info);
  read_chunks(file.bytes, image.facts);
  const auto row_bytes = to_size(image.width * image.channels * (deep ? 2 : 1));
  if (png_get_rowbytes(state.png, state.info) != row_bytes ||
      (image.channels != 1 && image.channels != 3))
    throw DataError::damaged(file.path, "a PNG of " + std::to_string(image.channels) + " channels");
  if (file.header_only) return image;
  image.pixels.resize(row_bytes * to_size(image.height));
  std::vector<uint8_t*> rows(to_size(image.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.pixels.data() + y * row_bytes;
  if (!png_pixels(state.png, rows.data())) throw damaged("data");
  if (deep) image.facts.largest = keep_high_bytes(image.pixels);
  return image;
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
DecodedImage decode_png(const EncodedImage& file) {
  throw ResourceError::absent("reading '" + file.path + "', a PNG", "libpng", "libpng-dev");
}
std::string encode_png(const uint8_t*, int64_t, int64_t, int64_t) {
  throw ResourceError::absent("writing a PNG image", "libpng", "libpng-dev");
}
#endif

}  // namespace retort::data
