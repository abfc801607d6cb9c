// GIF by giflib, an optional part: the first frame on the declared screen. No torch here.
#include <algorithm>
#include <cstring>
#include <memory>

#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_GIF
#include <gif_lib.h>
#endif

namespace retort::data {

#ifdef RETORT_WITH_GIF
namespace {

struct GifSource {
  std::string_view rest;
};

int gif_take(GifFileType* gif, GifByteType* out, int count) {
  auto* source = static_cast<GifSource*>(gif->UserData);
  const size_t taken = std::min(source->rest.size(), to_size(count));
  std::memcpy(out, source->rest.data(), taken);
  source->rest.remove_prefix(taken);
  return static_cast<int>(taken);
}

void close_gif(GifFileType* gif) {
  DGifCloseFile(gif, nullptr);
}

DataError damaged(const EncodedImage& file, int code) {
  const char* text = GifErrorString(code);
  return DataError::damaged(
      file.path, std::string("damaged GIF data: ") + (text ? text : "the file is cut off"));
}

/// Steps to the next image; extensions are passed over. False at the end.
bool next_image(GifFileType* gif, const EncodedImage& file) {
  for (;;) {
    GifRecordType kind = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &kind) != GIF_OK) throw damaged(file, gif->Error);
    if (kind == TERMINATE_RECORD_TYPE) return false;
    if (kind == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) != GIF_OK) throw damaged(file, gif->Error);
      return true;
    }
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) throw damaged(file, gif->Error);
    while (block != nullptr)
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) throw damaged(file, gif->Error);
  }
}

/// The order in which the rows of a frame are stored.
std::vector<int> row_order(const GifImageDesc& frame) {
  std::vector<int> rows;
  if (!frame.Interlace) {
    for (int y = 0; y < frame.Height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr int kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
  for (int pass = 0; pass < 4; ++pass)
    for (int y = kFirst[pass]; y < frame.Height; y += kStep[pass]) rows.push_back(y);
  return rows;
}

void draw(GifFileType* gif, const EncodedImage& file, DecodedImage& image) {
  const GifImageDesc frame = gif->Image;
  const ColorMapObject* colours = frame.ColorMap ? frame.ColorMap : gif->SColorMap;
  if (!colours) throw DataError::damaged(file.path, "a GIF without a palette");
  std::vector<GifPixelType> row(to_size(frame.Width));
  for (const int y : row_order(frame)) {
    if (DGifGetLine(gif, row.data(), frame.Width) != GIF_OK) throw damaged(file, gif->Error);
    uint8_t* out = image.pixels.data() + ((frame.Top + y) * image.width + frame.Left) * 3;
    for (const GifPixelType value : row) {
      if (value >= colours->ColorCount)
        throw DataError::damaged(file.path, "a GIF with a colour beyond its palette");
      const GifColorType& colour = colours->Colors[value];
      *out++ = colour.Red;
      *out++ = colour.Green;
      *out++ = colour.Blue;
    }
  }
}

/// Whether another image stands behind the one that was read.
bool has_more(GifFileType* gif) {
  GifRecordType kind = UNDEFINED_RECORD_TYPE;
  while (DGifGetRecordType(gif, &kind) == GIF_OK && kind == EXTENSION_RECORD_TYPE) {
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) return false;
    while (block != nullptr)
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) return false;
  }
  return kind == IMAGE_DESC_RECORD_TYPE;
}

}  // namespace

bool gif_available() {
  return true;
}

DecodedImage decode_gif(const EncodedImage& file) {
  GifSource source{file.bytes};
  int code = 0;
  const std::unique_ptr<GifFileType, void (*)(GifFileType*)> gif(DGifOpen(&source, gif_take, &code),
                                                                 close_gif);
  if (!gif) throw damaged(file, code);
  DecodedImage image{gif->SWidth, gif->SHeight, 3, {}};
  constexpr int64_t kLongestString = 4096;  // of pixels that 12 bits may stand for
  check_size(file, image.width, image.height, 0, image.width * image.height * 3);
  if (file.header_only) return image;
  if (!next_image(gif.get(), file)) throw DataError::damaged(file.path, "a GIF without an image");
  const GifImageDesc& frame = gif->Image;
  if (frame.Left < 0 || frame.Top < 0 || frame.Width < 1 || frame.Height < 1 ||
      frame.Left + frame.Width > image.width || frame.Top + frame.Height > image.height)
    throw DataError::damaged(file.path, "a GIF whose frame lies outside of its screen");
  check_size(file, frame.Width, frame.Height, int64_t{frame.Width} * frame.Height / kLongestString,
             0);
  image.pixels.resize(to_size(image.width * image.height * 3));
  draw(gif.get(), file, image);
  image.facts.more_frames = has_more(gif.get());
  return image;
}
#else
bool gif_available() {
  return false;
}
DecodedImage decode_gif(const EncodedImage& file) {
  throw ResourceError::absent("reading '" + file.path + "', a GIF image", "giflib", "libgif-dev");
}
#endif

}  // namespace retort::data
