// PBM, PGM and PPM, as text and as bytes. Values are scaled by the largest that the file declares.
// No torch here.
#include <algorithm>
#include <cctype>

#include "core/sizes.h"
#include "data/images/formats.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

/// Whole numbers between white space and comments.
class Words {
 public:
  Words(const EncodedImage& file, size_t at) : file_(file), at_(at) {}

  int64_t number(int64_t most) {
    skip_space();
    int64_t value = 0;
    const size_t start = at_;
    while (at_ < file_.bytes.size() && std::isdigit(here()) && value <= most)
      value = value * 10 + (here() - '0'), ++at_;
    if (at_ == start || value > most)
      throw DataError::damaged(file_.path, "a damaged PPM header, or a file that is cut off",
                               "whole numbers of at most " + std::to_string(most));
    return value;
  }

  /// A single 0 or 1, which need not be parted from the next.
  int64_t digit() {
    skip_space();
    if (at_ == file_.bytes.size() || (here() != '0' && here() != '1'))
      throw DataError::damaged(file_.path, "damaged PBM data, or a file that is cut off");
    return file_.bytes[at_++] - '0';
  }

  size_t position() const { return at_; }

 private:
  unsigned char here() const { return static_cast<unsigned char>(file_.bytes[at_]); }
  void skip_space() {
    while (at_ < file_.bytes.size() && (std::isspace(here()) || here() == '#')) {
      if (here() == '#') at_ = std::min(file_.bytes.find('\n', at_), file_.bytes.size() - 1);
      ++at_;
    }
  }
  const EncodedImage& file_;
  size_t at_;
};

/// "P1" to "P6": what the letter's number means.
struct Kind {
  bool text, bitmap;
  int64_t channels;
};

Kind kind_of(char digit) {
  const int number = digit - '0';
  return {number <= 3, number % 3 == 1, number % 3 == 0 ? 3 : 1};
}

void read_text(Words& words, const Kind& kind, int64_t most, DecodedImage& image) {
  for (uint8_t& pixel : image.pixels)
    pixel = kind.bitmap ? static_cast<uint8_t>(words.digit() ? 0 : 255)
                        : static_cast<uint8_t>((words.number(most) * 255 + most / 2) / most);
}

void read_bytes(const uint8_t* data, const Kind& kind, int64_t most, DecodedImage& image) {
  const size_t width = to_size(image.width), row = (width + 7) / 8;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (kind.bitmap) {
      const size_t x = i % width, y = i / width;
      image.pixels[i] = data[y * row + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
      continue;
    }
    const int64_t value = most > 255 ? data[2 * i] << 8 | data[2 * i + 1] : data[i];
    image.pixels[i] = static_cast<uint8_t>((std::min(value, most) * 255 + most / 2) / most);
  }
}

}  // namespace

DecodedImage decode_pnm(const EncodedImage& file) {
  const Kind kind = kind_of(file.bytes[1]);
  Words words(file, 2);
  DecodedImage image;
  image.width = words.number(1 << 30);
  image.height = words.number(1 << 30);
  image.channels = kind.channels;
  const int64_t most = kind.bitmap ? 1 : words.number(0xFFFF);
  check_size(file, image.width, image.height, 0, 0);
  if (most < 1) throw DataError::damaged(file.path, "a PPM whose largest value is 0");
  const int64_t samples = image.width * image.height * image.channels;
  const auto header = to_int64(words.position()) + 1;  // one white space behind it
  const int64_t data_bytes = kind.bitmap ? (image.width + 7) / 8 * image.height
                             : kind.text ? samples
                                         : samples * (most > 255 ? 2 : 1);
  check_size(file, image.width, image.height, kind.text ? samples : header + data_bytes, samples);
  if (file.header_only) return image;
  image.pixels.resize(to_size(samples));
  if (kind.text)
    read_text(words, kind, most, image);
  else
    read_bytes(reinterpret_cast<const uint8_t*>(file.bytes.data()) + header, kind, most, image);
  return image;
}

}  // namespace retort::data
