// Which kind a file is by its leading bytes, and the limits on what it may take. No torch here.
#include "retort/data/image_file.h"

#include <array>

#include "core/memory.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 27;
constexpr std::string_view kReadable = "JPEG, PNG, WebP, GIF, TIFF, BMP and PPM images";

struct Format {
  bool (*begins)(std::string_view bytes);
  DecodedImage (*decode)(const EncodedImage& file);
};

constexpr std::array<Format, 7> kFormats{{
    {[](std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }, decode_jpeg},
    {[](std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }, decode_png},
    {[](std::string_view bytes) {
       return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP");
     },
     decode_webp},
    {[](std::string_view bytes) { return bytes.starts_with("GIF8"); }, decode_gif},
    {[](std::string_view bytes) {
       using std::string_view_literals::operator""sv;
       return bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv) ||
              bytes.starts_with("II+\0"sv) || bytes.starts_with("MM\0+"sv);
     },
     decode_tiff},
    {[](std::string_view bytes) { return bytes.starts_with("BM") && bytes.size() > 26; },
     decode_bmp},
    {[](std::string_view bytes) {
       return bytes.size() > 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
              (bytes[2] == '#' || (bytes[2] >= '\t' && bytes[2] <= '\r') || bytes[2] == ' ');
     },
     decode_pnm},
}};

/// A kind that is known by its leading bytes and not read.
struct OtherKind {
  size_t at;
  std::string_view start, name;
};

constexpr std::array<OtherKind, 22> kOthers{{
    {4, "ftypheic", "a HEIC image"},
    {4, "ftypheix", "a HEIC image"},
    {4, "ftypmif1", "a HEIF image"},
    {4, "ftypavif", "an AVIF image"},
    {4, "ftypavis", "an AVIF animation"},
    {4, "jP  ", "a JPEG 2000 image"},
    {0, "\xff\x4f\xff\x51", "a JPEG 2000 image"},
    {0, "\xff\x0a", "a JPEG XL image"},
    {4, "JXL ", "a JPEG XL image"},
    {0, "P7", "a PAM image"},
    {0, "8BPS", "a Photoshop file"},
    {0, "qoif", "a QOI image"},
    {0, "DDS ", "a DDS texture"},
    {0, "#?RADIANCE", "a Radiance HDR image"},
    {0, "\x76\x2f\x31\x01", "an OpenEXR image"},
    {128, "DICM", "a DICOM file"},
    {0, "%PDF", "a PDF document"},
    {0, "\x93NUMPY", "a NumPy array"},
    {0, "PK\x03\x04", "a zip archive"},
    {0, "version https://git-lfs", "a pointer of Git LFS, not the file itself"},
    {0, "<svg", "an SVG drawing"},
    {0, "<?xml", "an XML file or SVG drawing"},
}};

/// Case aside, within what a page may begin with.
bool is_html(std::string_view bytes) {
  std::string start(bytes.substr(0, 256));
  for (char& c : start) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return start.find("<!doctype html") != std::string::npos ||
         start.find("<html") != std::string::npos;
}

std::string name_of(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  if (is_html(bytes)) return "a web page in place of an image";
  for (const OtherKind& kind : kOthers)
    if (bytes.size() > kind.at && bytes.substr(kind.at).starts_with(kind.start))
      return std::string(kind.name);
  if (bytes.find_first_not_of('\0') == std::string_view::npos) return "nothing but zero bytes";
  return "a file that is no image of a known kind";
}

DecodedImage decode(const EncodedImage& file, bool upright) {
  for (const Format& format : kFormats)
    if (format.begins(file.bytes)) {
      DecodedImage image = format.decode(file);
      return upright ? turned_upright(std::move(image)) : image;
    }
  throw DataError({"reading '" + file.path + "'", name_of(file.bytes), std::string(kReadable),
                   "fetch the file again, convert it (convert IN OUT.png), or remove it"});
}

}  // namespace

void check_size(const EncodedImage& file, int64_t width, int64_t height, int64_t least_bytes,
                int64_t memory) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > kMaxPixels)
    throw DataError::damaged(file.path, "an image of " + size + " pixels",
                             "sides of 1 to " + std::to_string(kMaxSide) + " and at most " +
                                 std::to_string(kMaxPixels) + " pixels");
  if (least_bytes > std::ssize(file.bytes))
    throw DataError::damaged(file.path, "only " + std::to_string(file.bytes.size()) +
                                            " bytes for " + size + " pixels: the file is cut off");
  constexpr int64_t kWorthAsking = int64_t{64} << 20;
  if (!file.header_only && memory > kWorthAsking)
    require_memory("reading '" + file.path + "', an image of " + size + " pixels", memory,
                   "make it smaller or remove it, or give fewer --threads");
}

DecodedImage decode_image(std::string_view bytes, const std::string& path, bool upright) {
  return decode({bytes, path}, upright);
}

DecodedImage decode_header(std::string_view bytes, const std::string& path, bool upright) {
  return decode({bytes, path, true}, upright);
}

}  // namespace retort::data
