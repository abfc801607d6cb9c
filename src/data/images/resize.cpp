// Resizing as Pillow does it, and grey from colours. No torch here.
#include <algorithm>
#include <cmath>

#include "core/sizes.h"
#include "data/images/formats.h"

namespace retort::data {
namespace {

// Triangle-filter weights of one output sample in Pillow's fixed point, so that results agree.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};
constexpr int kPrecision = 22;

/// The samples that are wanted of a side that is resampled to `full` of them.
struct Crop {
  int64_t full, first, count;
};

/// The middle of `full`; half-way offsets go to the even pixel, as Python rounds.
Crop centre_of(int64_t full, int64_t count) {
  return {full, std::llrint(std::nearbyint((full - count) / 2.0)), count};
}

Taps triangle_tap(int64_t in, double scale, int64_t i) {
  const double support = std::max(scale, 1.0);
  const double centre = (i + 0.5) * scale;
  Taps tap;
  tap.first = std::max<int64_t>(0, std::llround(std::floor(centre - support + 0.5)));
  const int64_t last = std::min<int64_t>(in, std::llround(std::floor(centre + support + 0.5)));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t x = tap.first; x < last; ++x) {
    const double distance = std::abs((x - centre + 0.5) / support);
    weights.push_back(std::max(0.0, 1.0 - distance));
    sum += weights.back();
  }
  for (const double w : weights)
    tap.weights.push_back(static_cast<int32_t>(std::lround(w / sum * (1 << kPrecision))));
  return tap;
}

std::vector<Taps> triangle_taps(int64_t in, const Crop& out) {
  std::vector<Taps> taps;
  for (int64_t i = out.first; i < out.first + out.count; ++i)
    taps.push_back(
        in == out.full
            ? Taps{i, {1 << kPrecision}}
            : triangle_tap(in, static_cast<double>(in) / static_cast<double>(out.full), i));
  return taps;
}

/// Resamples the middle dimension of [outer, in, inner] samples.
std::vector<uint8_t> resample(const uint8_t* pixels, int64_t outer, int64_t in, int64_t inner,
                              const std::vector<Taps>& taps) {
  std::vector<uint8_t> result(to_size(outer * inner) * taps.size());
  std::vector<int32_t> sums(to_size(inner));
  uint8_t* target = result.data();
  for (int64_t o = 0; o < outer; ++o)
    for (const Taps& tap : taps) {
      std::fill(sums.begin(), sums.end(), 1 << (kPrecision - 1));
      const uint8_t* source = pixels + (o * in + tap.first) * inner;
      for (const int32_t weight : tap.weights)
        for (int32_t& sum : sums) sum += weight * *source++;
      for (const int32_t sum : sums)
        *target++ = static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
    }
  return result;
}

/// The shorter side that the image has before its centre is cut out.
int64_t shorter_side(int64_t side, Fit fit) {
  // 224: 256 and 64: 72, the published sizes; small sides are left without a margin.
  return fit == Fit::kEvalCrop ? std::max(side / 7 * 8, side) : side;
}

}  // namespace

DecodedImage to_square(const DecodedImage& image, int64_t side, Fit fit) {
  const int64_t shorter = std::min(image.width, image.height), wanted = shorter_side(side, fit);
  const bool squash = fit == Fit::kSquash;
  const auto columns = triangle_taps(
      image.width, squash ? Crop{side, 0, side} : centre_of(wanted * image.width / shorter, side));
  auto rows =
      triangle_taps(image.height, squash ? Crop{side, 0, side}
                                         : centre_of(wanted * image.height / shorter, side));
  // Only the rows that the crop needs are resampled.
  const int64_t top = rows.front().first;
  const int64_t bottom = rows.back().first + std::ssize(rows.back().weights);
  for (Taps& tap : rows) tap.first -= top;
  const std::vector<uint8_t> narrow =
      resample(image.pixels.data() + top * image.width * image.channels, bottom - top, image.width,
               image.channels, columns);
  return {side, side, image.channels,
          resample(narrow.data(), 1, bottom - top, side * image.channels, rows), image.facts};
}

DecodedImage to_channels(const DecodedImage& image, int64_t channels) {
  if (image.channels == channels) return image;
  DecodedImage result{image.width, image.height, channels, {}, image.facts};
  const int64_t count = image.width * image.height;
  result.pixels.resize(to_size(count * channels));
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
