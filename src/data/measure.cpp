#include "data/measure.h"

#include <fmt/format.h>

#include <cmath>

#include "core/file.h"
#include "core/sizes.h"

namespace retort::data {

std::string hash_parts(int64_t channels, int64_t height, int64_t width,
                       const std::vector<std::string>& class_names,
                       const std::vector<PartBytes>& parts) {
  std::string text = fmt::format("{} {} {} {}", channels, height, width, parts.front().count);
  for (const std::string& name : class_names) text += '\n' + name;
  uint64_t hash = hash_bytes(text.data(), text.size());
  for (const PartBytes& part : parts) {
    hash = hash_bytes(part.pixels, part.bytes, hash);
    hash = hash_bytes(part.labels, to_size(part.count) * sizeof(int64_t), hash);
  }
  return hex(hash);
}

Normalisation measure(const at::Tensor& images) {
  Normalisation measured;
  const int64_t channels = images.size(1), area = images.size(2) * images.size(3);
  const double pixels = images.size(0) * area;
  std::vector<int64_t> sum(to_size(channels)), squares(sum);
  const uint8_t* pixel = images.data_ptr<uint8_t>();
  for (size_t plane = 0; plane < to_size(images.size(0) * channels); ++plane, pixel += area) {
    int64_t plane_sum = 0, plane_squares = 0;
    for (int64_t i = 0; i < area; ++i) {
      plane_sum += pixel[i];
      plane_squares += int64_t{pixel[i]} * pixel[i];
    }
    sum[plane % sum.size()] += plane_sum;
    squares[plane % sum.size()] += plane_squares;
  }
  for (size_t c = 0; c < sum.size(); ++c) {
    const double mean = sum[c] / pixels;
    const double variance = squares[c] / pixels - mean * mean;
    measured.mean.push_back(mean / 255);
    // A constant channel has nothing to scale.
    measured.deviation.push_back(variance > 1e-6 ? std::sqrt(variance) / 255 : 1.0);
  }
  return measured;
}

}  // namespace retort::data
