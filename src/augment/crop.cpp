#include "retort/augment/crop.h"

#include <algorithm>
#include <cmath>

#include "core/sizes.h"

namespace retort::augment {
namespace {

/// How a side of an image becomes a side of a view.
struct Side {
  int64_t begin, length;  // of the image
  bool flip;
  int64_t roll;
};

/// Calls add(pixel of the side, weight) for what makes pixel j of a view: its two neighbours.
template <class Add>
void between(int64_t length, double scale, int64_t j, const Add& add) {
  const double place = std::max((static_cast<double>(j) + 0.5) * scale - 0.5, 0.0);
  const int64_t low = std::min(static_cast<int64_t>(place), length - 1);
  const double share = place - static_cast<double>(low);
  add(low, 1 - share);
  add(std::min(low + 1, length - 1), share);
}

/// The same where the side shrinks: all pixels under a triangle of the pixel's size.
template <class Add>
void averaged(int64_t length, double scale, int64_t j, const Add& add) {
  const double middle = (static_cast<double>(j) + 0.5) * scale;
  const auto begin = std::max<int64_t>(static_cast<int64_t>(middle - scale + 0.5), 0),
             end = std::min(static_cast<int64_t>(middle + scale + 0.5), length);
  const auto weight = [&](int64_t k) {
    return std::max(1 - std::abs(static_cast<double>(k) + 0.5 - middle) / scale, 0.0);
  };
  double sum = 0;
  for (int64_t k = begin; k < end; ++k) sum += weight(k);
  for (int64_t k = begin; k < end; ++k) add(k, weight(k) / sum);
}

/// Adds the weights of one side to entry [to, from].
void weigh(const Side& side, bool smooth, at::TensorAccessor<double, 2> entry) {
  const int64_t to = entry.size(0), from = entry.size(1);
  const double scale = static_cast<double>(side.length) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    const int64_t unrolled = (((i - side.roll) % to) + to) % to;
    const int64_t j = side.flip ? to - 1 - unrolled : unrolled;
    const auto add = [&](int64_t pixel, double weight) {
      const int64_t place = side.begin + pixel;
      if (place >= 0 && place < from) entry[i][place] += weight;
    };
    if (smooth && scale > 1)
      averaged(side.length, scale, j, add);
    else
      between(side.length, scale, j, add);
  }
}

}  // namespace

Crop whole_image(int64_t height, int64_t width) {
  Crop crop;
  crop.height = height;
  crop.width = width;
  return crop;
}

Crop draw_crop(int64_t height, int64_t width, double low, double high, double aspect,
               RandomStream& stream) {
  constexpr int kTries = 10;
  Crop crop = whole_image(height, width);
  const auto area = static_cast<double>(height * width);
  for (int i = 0; i < kTries; ++i) {
    const double wanted = area * stream.uniform(low, high);
    const double ratio = std::exp(stream.uniform(-std::log(aspect), std::log(aspect)));
    const auto w = static_cast<int64_t>(std::lround(std::sqrt(wanted * ratio)));
    const auto h = static_cast<int64_t>(std::lround(std::sqrt(wanted / ratio)));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    crop.top = stream.uniform_int(height - h + 1);
    crop.left = stream.uniform_int(width - w + 1);
    crop.height = h;
    crop.width = w;
    return crop;
  }
  // The largest crop of an accepted proportion, in the middle.
  const double proportion = static_cast<double>(width) / static_cast<double>(height);
  if (proportion < 1 / aspect)
    crop.height = std::lround(static_cast<double>(width) * aspect);
  else if (proportion > aspect)
    crop.width = std::lround(static_cast<double>(height) * aspect);
  crop.top = (height - crop.height) / 2;
  crop.left = (width - crop.width) / 2;
  return crop;
}

Crop draw_shift(int64_t height, int64_t width, int64_t padding, RandomStream& stream) {
  Crop crop = whole_image(height, width);
  crop.top = stream.uniform_int(2 * padding + 1) - padding;
  crop.left = stream.uniform_int(2 * padding + 1) - padding;
  return crop;
}

CropMap::CropMap(const std::vector<Crop>& crops, at::IntArrayRef from, at::IntArrayRef to,
                 const at::TensorOptions& options, bool smooth) {
  const auto count = std::ssize(crops);
  at::Tensor rows = at::zeros({count, to[0], from[0]}, at::kDouble);
  at::Tensor columns = at::zeros({count, to[1], from[1]}, at::kDouble);
  auto row_entries = rows.accessor<double, 3>();
  auto column_entries = columns.accessor<double, 3>();
  for (int64_t i = 0; i < count; ++i) {
    const Crop& crop = crops[to_size(i)];
    weigh({crop.top, crop.height, false, crop.roll_rows}, smooth, row_entries[i]);
    weigh({crop.left, crop.width, crop.flip, crop.roll_columns}, smooth, column_entries[i]);
  }
  rows_ = rows.unsqueeze(1).to(options);
  columns_ = columns.unsqueeze(1).to(options);
}

at::Tensor CropMap::apply(const at::Tensor& images) const {
  return at::matmul(at::matmul(rows_, images), columns_.transpose(-1, -2));
}

at::Tensor CropMap::adjoint(const at::Tensor& cotangents) const {
  return at::matmul(at::matmul(rows_.transpose(-1, -2), cotangents), columns_);
}

}  // namespace retort::augment
