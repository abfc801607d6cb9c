// WebP by libwebp, an optional part. Of an animation the first frame. No torch here.
#include <memory>

#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_WEBP
#include <webp/decode.h>
#include <webp/demux.h>
#endif

namespace retort::data {

#ifdef RETORT_WITH_WEBP
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)>;

int orientation_of(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk;
  if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return 1;
  std::string_view exif(reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size);
  constexpr std::string_view kPrefix("Exif\0\0", 6);  // some writers keep JPEG's
  if (exif.starts_with(kPrefix)) exif.remove_prefix(kPrefix.size());
  const int orientation = exif_orientation(exif);
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

bool webp_available() {
  return true;
}

DecodedImage decode_webp(const EncodedImage& file) {
  const WebPData data{reinterpret_cast<const uint8_t*>(file.bytes.data()), file.bytes.size()};
  const Demuxer demuxer(WebPDemux(&data), WebPDemuxDelete);
  WebPIterator frame{};
  if (!demuxer || !WebPDemuxGetFrame(demuxer.get(), 1, &frame))
    throw DataError::damaged(file.path, "damaged WebP data, or a file that is cut off");
  const std::unique_ptr<WebPIterator, void (*)(WebPIterator*)> release(&frame,
                                                                       WebPDemuxReleaseIterator);
  DecodedImage image{frame.width, frame.height, 3, {}};
  // One colour everywhere takes no bits at all: the file's size bounds nothing.
  check_size(file, image.width, image.height, 0, image.width * image.height * 7);
  image.facts.orientation = orientation_of(demuxer.get());
  image.facts.more_frames = frame.num_frames > 1;
  if (file.header_only) return image;
  image.pixels.resize(to_size(image.width * image.height * 3));
  if (!WebPDecodeRGBInto(frame.fragment.bytes, frame.fragment.size, image.pixels.data(),
                         image.pixels.size(), static_cast<int>(image.width * 3)))
    throw DataError::damaged(file.path, "damaged WebP data, or a file that is cut off");
  return image;
}
#else
bool webp_available() {
  return false;
}
DecodedImage decode_webp(const EncodedImage& file) {
  throw ResourceError::absent("reading '" + file.path + "', a WebP image", "libwebp",
                              "libwebp-dev");
}
#endif

}  // namespace retort::data
