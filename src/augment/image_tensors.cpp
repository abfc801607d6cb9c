// The operations of a row as tensor operations, for images on any device, and their way back.
// Nothing is added up by atomics, so equal inputs give equal bytes: every position of the way back
// gathers what came from it.
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "augment/image_rows.h"
#include "augment/siamese.h"

namespace retort::augment {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Bounds the memory of a way back: 256 MB in float32.
constexpr int64_t kGathered = int64_t{1} << 26;

/// Whether any row uses one of the columns.
bool uses(const at::Tensor& rows, int64_t first, int64_t last) {
  const at::Tensor part = rows.narrow(1, first, last + 1 - first);
  return !part.eq(identity().narrow(1, first, last + 1 - first)).all().item<bool>();
}

/// Values of one column as [R, 1, 1, 1], to stand beside images.
at::Tensor column(const at::Tensor& rows, int64_t index) {
  return rows.select(1, index).view({-1, 1, 1, 1});
}

/// (x - centre) * factor + centre, and x itself where the factor is 1.
at::Tensor stretch(const at::Tensor& x, const at::Tensor& centre, const at::Tensor& factor) {
  return at::where(factor == 1, x, (x - centre) * factor + centre);
}

at::Tensor stretch_pixels(const at::Tensor& x, const at::Tensor& rows) {
  return stretch(x, x.mean(1, true), column(rows, kSaturation));
}

at::Tensor stretch_image(const at::Tensor& x, const at::Tensor& rows) {
  return stretch(x, x.mean({1, 2, 3}, true), column(rows, kContrast));
}

/// Shift, box and flip move whole pixels: one gather and one mask. The way back gathers from where
/// a pixel went.
at::Tensor move_pixels(const at::Tensor& x, const at::Tensor& rows, bool back) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  const at::Tensor whole = rows.to(at::kLong).to(x.device());
  const auto value = [&whole](int64_t index) { return whole.select(1, index).view({-1, 1, 1}); };
  const auto mirrored = [&](const at::Tensor& j) {
    return at::where(value(kFlip) > 0, width - 1 - j, j);
  };
  const at::Tensor i = at::arange(height, whole.options()).view({1, height, 1});
  const at::Tensor j = at::arange(width, whole.options()).view({1, 1, width});
  // Where boxes lie: after the shift, before the flip.
  const at::Tensor box_i = back ? i - value(kShiftRows) : i;
  const at::Tensor box_j = back ? j - value(kShiftColumns) : mirrored(j);
  const at::Tensor from_i = back ? box_i : i + value(kShiftRows);
  const at::Tensor from_j = back ? mirrored(box_j) : box_j + value(kShiftColumns);
  const auto within = [](const at::Tensor& at, const at::Tensor& first, const at::Tensor& last) {
    return (at >= first).logical_and(at < last);
  };
  const at::Tensor boxed = within(box_i, value(kBoxTop), value(kBoxBottom))
                               .logical_and(within(box_j, value(kBoxLeft), value(kBoxRight)));
  const at::Tensor near_i = from_i.clamp(0, height - 1), near_j = from_j.clamp(0, width - 1);
  const at::Tensor kept =
      (near_i == from_i).logical_and(near_j == from_j).logical_and(boxed.logical_not());
  const at::Tensor from = (near_i * width + near_j).view({-1, 1, height * width});
  const at::Tensor moved = x.flatten(2).gather(2, from.expand({x.size(0), channels, -1}));
  return at::where(kept.unsqueeze(1), moved.view(x.sizes()), at::zeros({}, x.options()));
}

/// Which rows leave the map alone, [R, 1, 1, 1].
at::Tensor unmapped(const at::Tensor& rows, at::Device device) {
  const at::Tensor same =
      rows.narrow(1, kMap, 6).eq(identity().narrow(1, kMap, 6).to(rows.scalar_type())).all(1);
  return same.view({-1, 1, 1, 1}).to(device);
}

at::Tensor apply_map(const at::Tensor& x, const at::Tensor& rows) {
  const int64_t drawn = rows.size(0);
  const at::Tensor maps = rows.narrow(1, kMap, 6).to(x.options()).reshape({drawn, 2, 3});
  const at::Tensor grid =
      at::affine_grid_generator(maps, {drawn, x.size(1), x.size(2), x.size(3)}, false)
          .expand({x.size(0), -1, -1, -1});
  constexpr int64_t kBilinear = 0, kZeros = 0;
  return at::where(unmapped(rows, x.device()), x,
                   at::grid_sampler(x, grid, kBilinear, kZeros, false));
}

/// The maps in pixels about the images' centres, p -> A p + b, and what it takes to find the
/// positions p whose sample lies within a pixel of a given one.
struct MapsBack {
  at::Tensor numbers;  ///< [R, 10] in float64: A, b, A's inverse
  int64_t window = 1;  ///< so many columns and rows hold all of those positions
};

MapsBack maps_back(const at::Tensor& rows, double height, double width) {
  const at::Tensor maps = rows.to(at::kDouble).contiguous();
  MapsBack all{at::empty({rows.size(0), 10}, at::kDouble)};
  double half = 0;
  for (int64_t n = 0; n < rows.size(0); ++n) {
    const double* m = maps.data_ptr<double>() + n * kColumns + kMap;
    const double a = m[0], b = m[1] * width / height, c = m[3] * height / width, d = m[4];
    const double area = a * d - b * c;
    const double values[] = {
        a, b, c, d, m[2] * width / 2, m[5] * height / 2, d / area, -b / area, -c / area, a / area};
    std::copy(std::begin(values), std::end(values), all.numbers.data_ptr<double>() + n * 10);
    half = std::max({half, (std::abs(d) + std::abs(b)) / std::abs(area),
                     (std::abs(c) + std::abs(a)) / std::abs(area)});
  }
  TORCH_CHECK(half < 64, "a map that shrinks images to nothing has no way back");
  // A little more, for rounding; the weights of what is too far are zero.
  all.window = static_cast<int64_t>(std::ceil(2 * half + 1e-3));
  return all;
}

/// Of one axis of candidates: their distance from the sample's target to a weight, zero where the
/// candidate is outside.
at::Tensor weight(const at::Tensor& distance, const at::Tensor& place, const at::Tensor& inside) {
  return (1 - distance.abs()).clamp_min(0) * (place == inside);
}

/// The transposed bilinear map: every position q gathers from the window of positions around
/// A^-1 (q - b), each by the weight that its sample gave to q.
at::Tensor map_back(const at::Tensor& d, const MapsBack& maps) {
  const int64_t count = d.size(0), channels = d.size(1), height = d.size(2), width = d.size(3),
                window = maps.window, drawn = maps.numbers.size(0);
  const at::Tensor numbers = maps.numbers.to(d.options());
  const auto number = [&](int64_t k) { return numbers.select(1, k).view({-1, 1, 1, 1, 1}); };
  const double middle_i = static_cast<double>(height - 1) / 2,
               middle_j = static_cast<double>(width - 1) / 2;
  const at::Tensor next = at::arange(window, d.options());
  const at::Tensor q_i = at::arange(height, d.options()).view({1, 1, 1, height, 1}) - middle_i;
  const at::Tensor q_j = at::arange(width, d.options()).view({1, 1, 1, 1, width}) - middle_j;
  const at::Tensor to_i = q_i - number(5), to_j = q_j - number(4);
  const double half = static_cast<double>(window) / 2;
  const at::Tensor first_i = (number(8) * to_j + number(9) * to_i + (middle_i - half)).ceil();
  const at::Tensor first_j = (number(6) * to_j + number(7) * to_i + (middle_j - half)).ceil();
  const at::Tensor i = first_i + next.view({1, -1, 1, 1, 1});  // [R, window, 1, H, W]
  const at::Tensor j = first_j + next.view({1, 1, -1, 1, 1});  // [R, 1, window, H, W]
  const at::Tensor near_i = i.clamp(0, height - 1), near_j = j.clamp(0, width - 1);
  const at::Tensor u = j - middle_j, v = i - middle_i;
  const at::Tensor weights = weight(number(0) * u + number(1) * v - to_j, j, near_j) *
                             weight(number(2) * u + number(3) * v - to_i, i, near_i);
  const at::Tensor from = (near_i * width + near_j).to(at::kLong).view({drawn, 1, -1});
  const at::Tensor gathered = d.flatten(2).gather(2, from.expand({count, channels, -1}));
  return gathered.view({count, channels, window * window, height, width})
      .mul_(weights.view({drawn, 1, window * window, height, width}))
      .sum(2);
}

at::Tensor pull_map(const at::Tensor& d, const at::Tensor& rows) {
  const int64_t count = d.size(0);
  MapsBack maps = maps_back(rows, static_cast<double>(d.size(2)), static_cast<double>(d.size(3)));
  const int64_t each = d.numel() / count * maps.window * maps.window;
  const int64_t most = std::max<int64_t>(1, kGathered / each);
  std::vector<at::Tensor> pieces;
  for (int64_t begin = 0; begin < count; begin += most) {
    const int64_t size = std::min(most, count - begin);
    MapsBack own = maps;
    if (rows.size(0) > 1) own.numbers = maps.numbers.narrow(0, begin, size);
    pieces.push_back(map_back(d.narrow(0, begin, size), own));
  }
  const at::Tensor pulled = pieces.size() == 1 ? pieces.front() : at::cat(pieces);
  return at::where(unmapped(rows, d.device()), d, pulled);
}

at::Tensor forward_images(const at::Tensor& images, const at::Tensor& rows) {
  at::Tensor x = images;
  if (uses(rows, kBrightness, kContrast)) {
    const at::Tensor values = rows.to(images.options());
    x = stretch_image(stretch_pixels(x + column(values, kBrightness), values), values);
  }
  if (uses(rows, kShiftRows, kFlip)) x = move_pixels(x, rows, false);
  if (uses(rows, kMap, kMap + 5)) x = apply_map(x, rows);
  return x;
}

class Tensors : public torch::autograd::Function<Tensors> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images,
                            const at::Tensor& rows) {
    context->save_for_backward({rows});
    return forward_images(images, rows);
  }
  static variable_list backward(AutogradContext* context, variable_list cotangents) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "augmented images have no second derivative");
    return {pullback_tensors(cotangents[0], context->get_saved_variables()[0]), at::Tensor()};
  }
};

}  // namespace

at::Tensor apply_tensors(const at::Tensor& images, const at::Tensor& rows) {
  if (at::GradMode::is_enabled() && images.requires_grad()) return Tensors::apply(images, rows);
  return forward_images(images, rows);
}

// Both factors of color act about means: each is its own transpose, in the other order.
at::Tensor pullback_tensors(const at::Tensor& cotangents, const at::Tensor& rows) {
  at::Tensor d = cotangents;
  if (uses(rows, kMap, kMap + 5)) d = pull_map(d, rows);
  if (uses(rows, kShiftRows, kFlip)) d = move_pixels(d, rows, true);
  if (!uses(rows, kBrightness, kContrast)) return d;
  const at::Tensor values = rows.to(cotangents.options());
  return stretch_pixels(stretch_image(d, values), values);
}

}  // namespace retort::augment
