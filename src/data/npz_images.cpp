// Images out of the arrays of .npz files. No torch here.
#include "data/npz_images.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "core/sizes.h"
#include "data/layouts.h"
#include "data/npz_numbers.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

constexpr const char* kShapes =
    "images as uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels";

struct ImageShape {
  int64_t channels, height, width;
  bool channels_last;
  bool same_image(const ImageShape& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
};

[[noreturn]] void refuse(const ImageArray& images, const std::string& about,
                         const std::string& advice) {
  throw DataError({"reading '" + images.name + "'",
                   array_text(images.name.substr(images.name.rfind(':') + 1), images.array) +
                       (about.empty() ? "" : ": " + about),
                   kShapes, advice});
}

/// How rows of so many numbers become images, where they are square.
std::string reshape(int64_t numbers) {
  for (const int64_t channels : {1, 3}) {
    const int64_t side = std::llround(std::sqrt(static_cast<double>(numbers / channels)));
    if (side * side * channels == numbers)
      return std::string(channels == 3 ? "reshape(-1, 3, " : "reshape(-1, ") +
             std::to_string(side) + ", " + std::to_string(side) + ")";
  }
  return "reshape(-1, height, width)";
}

[[noreturn]] void refuse_shape(const ImageArray& images) {
  const auto& s = images.array.shape;
  const auto is = [&](size_t d, int64_t size) { return s.size() == 4 && s[d] == size; };
  if (s.size() == 5 || (s.size() == 4 && s[1] == s[2] && s[2] == s[3]))
    refuse(images, "volumes of three dimensions are not read", "save slices of them as images");
  if (is(3, 4) || is(1, 4))
    refuse(images, "four channels, as of RGB with alpha",
           is(3, 4) ? "keep the colours: images[..., :3]" : "keep the colours: images[:, :3]");
  if (s.size() == 4) {
    // Height and width are equal more often than not.
    const bool last = s[2] != s[3] && (s[1] == s[2] || s[3] < s[1]);
    refuse(images, std::to_string(last ? s[3] : s[1]) + " channels",
           std::string("keep three of them, such as ") +
               (last ? "images[..., [2, 1, 0]]" : "images[:, [2, 1, 0]]"));
  }
  if (s.size() == 2)
    refuse(images, "rows of numbers", "give them their shape, such as images." + reshape(s[1]));
  refuse(images, "", "save the images in such a shape");
}

ImageShape shape_of(const ImageArray& images) {
  const auto& s = images.array.shape;
  const bool sizes_fit = std::all_of(s.begin(), s.end(), [](int64_t d) { return d >= 1; });
  if (sizes_fit && s.size() == 3) return {1, s[1], s[2], true};
  if (sizes_fit && s.size() == 4 && (s[3] == 1 || s[3] == 3)) return {s[3], s[1], s[2], true};
  if (sizes_fit && s.size() == 4 && (s[1] == 1 || s[1] == 3)) return {s[1], s[2], s[3], false};
  refuse_shape(images);
}

struct ValueRange {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool whole = true, finite = true;

  void add(const NpyArray& array) {
    for (size_t i = 0; i < count_of(array); ++i) {
      const double value = number_at(array, i);
      finite = finite && std::isfinite(value);
      whole = whole && value == std::floor(value);
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  std::string text() const {
    std::string out(64, '\0');
    out.resize(to_size(std::snprintf(out.data(), out.size(), "%g to %g", low, high)));
    return out;
  }
};

/// What a number is multiplied by to be a byte.
double scale_of(const ImageArray& images, const ValueRange& range,
                std::vector<std::string>& notes) {
  constexpr double kRounding = 1e-5;
  const DType type = images.array.dtype;
  if (type == DType::kU8) return 1;
  const std::string name(dtype_name(type));
  const bool floats = is_float(type);
  if (!range.finite)
    refuse(images, "some of its numbers are not finite",
           "find out where they come from; save uint8 from 0 to 255");
  const std::string found = "its numbers go from " + range.text();
  if (type == DType::kBool || (floats && range.low >= 0 && range.high <= 1 + kRounding)) {
    notes.push_back(name + " images from 0 to 1: multiplied by 255 and rounded to bytes");
    return 255;
  }
  if (range.whole && range.low >= 0 && range.high <= 255) {
    notes.push_back(name + " images of whole numbers from " + range.text() + ": taken as bytes");
    return 1;
  }
  if (floats && range.low >= -1 - kRounding && range.high <= 1 + kRounding)
    refuse(images, found,
           "save them as uint8 from 0 to 255: ((x + 1) * 127.5).round().astype('uint8')");
  if (range.low >= 0)
    refuse(images, found,
           "save them as uint8 from 0 to 255: (x * (255 / x.max())).round().astype('uint8')");
  refuse(images, found,
         "they look normalised: undo that, (x * std + mean), and save them as uint8 from 0 to 255");
}

std::vector<uint8_t> planes(const NpyArray& array, const ImageShape& shape, double scale) {
  const size_t count = count_of(array);
  std::vector<uint8_t> converted;
  const auto* bytes = reinterpret_cast<const uint8_t*>(array.data.data());
  if (array.dtype != DType::kU8) {
    converted.resize(count);
    for (size_t i = 0; i < count; ++i)
      converted[i] =
          static_cast<uint8_t>(std::clamp(std::round(number_at(array, i) * scale), 0.0, 255.0));
    bytes = converted.data();
  }
  if (!shape.channels_last || shape.channels == 1)
    return array.dtype == DType::kU8 ? std::vector<uint8_t>(bytes, bytes + count)
                                     : std::move(converted);
  std::vector<uint8_t> out;
  out.reserve(count);
  const int64_t pixels = shape.height * shape.width;
  for (int64_t n = 0; n < array.shape[0]; ++n)
    append_planes(out, bytes + n * pixels * shape.channels, pixels, shape.channels);
  return out;
}

}  // namespace

std::string array_text(const std::string& name, const NpyArray& array) {
  std::string text = "'" + name + "' is " + std::string(dtype_name(array.dtype)) + " [";
  for (size_t d = 0; d < array.shape.size(); ++d)
    text += (d ? ", " : "") + std::to_string(array.shape[d]);
  return text + "]";
}

void read_images(const std::vector<std::pair<ImageArray, RawImages*>>& arrays, RawDataset& raw) {
  const ImageArray& first = arrays.front().first;
  const ImageShape shape = shape_of(first);
  ValueRange range;
  for (const auto& [images, part] : arrays) {
    if (!shape_of(images).same_image(shape))
      refuse(images, "images of another shape than " + array_text("the training part", first.array),
             "bring both parts to one shape");
    if (images.array.dtype != first.array.dtype)
      refuse(images, "another type of numbers than the training images",
             "save both parts in one type");
    if (images.array.dtype != DType::kU8) range.add(images.array);
  }
  const double scale = scale_of(first, range, raw.notes);
  for (const auto& [images, part] : arrays)
    part->pixels = planes(images.array, shape_of(images), scale);
  raw.channels = shape.channels;
  raw.height = shape.height;
  raw.width = shape.width;
}

}  // namespace retort::data
