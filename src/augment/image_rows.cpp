// Color, whole-pixel moves and the sampling map on one image at a time, while it is in cache.
#include "augment/image_rows.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "augment/siamese.h"
#include "core/parallel_for.h"

namespace retort::augment {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Size {
  int64_t channels, height, width;
  int64_t area() const { return height * width; }
  int64_t count() const { return channels * area(); }
};

/// What a row asks for.
struct Asked {
  explicit Asked(const float* row)
      : color(row[kBrightness] != 0 || row[kSaturation] != 1 || row[kContrast] != 1),
        moves(row[kShiftRows] != 0 || row[kShiftColumns] != 0 || row[kFlip] != 0 ||
              row[kBoxTop] != 0 || row[kBoxBottom] != 0 || row[kBoxLeft] != 0 ||
              row[kBoxRight] != 0),
        map(row[0] != 1 || row[1] != 0 || row[2] != 0 || row[3] != 0 || row[4] != 1 ||
            row[5] != 0) {}
  bool color, moves, map;
};

/// x becomes (x - mean) factor + mean, the mean over `count` values that are `step` apart.
template <class T>
void stretch(T* x, int64_t count, int64_t step, T factor) {
  if (factor == 1) return;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i * step]);
  const T mean = static_cast<T>(sum / static_cast<double>(count));
  for (int64_t i = 0; i < count; ++i) x[i * step] = (x[i * step] - mean) * factor + mean;
}

template <class T>
void stretch_pixels(T* x, const Size& size, T factor) {
  if (factor == 1) return;
  const int64_t area = size.area();
  for (int64_t i = 0; i < area; ++i) {
    T mean = 0;
    for (int64_t c = 0; c < size.channels; ++c) mean += x[c * area + i];
    mean /= static_cast<T>(size.channels);
    for (int64_t c = 0; c < size.channels; ++c)
      x[c * area + i] = (x[c * area + i] - mean) * factor + mean;
  }
}

template <class T>
void color(T* x, const Size& size, const float* row) {
  const T brightness = static_cast<T>(row[kBrightness]);
  for (int64_t i = 0; i < size.count(); ++i) x[i] += brightness;
  stretch_pixels(x, size, static_cast<T>(row[kSaturation]));
  stretch(x, size.count(), 1, static_cast<T>(row[kContrast]));
}

/// Both factors act about means: each is its own transpose, and they come in the other order.
template <class T>
void color_back(T* d, const Size& size, const float* row) {
  stretch(d, size.count(), 1, static_cast<T>(row[kContrast]));
  stretch_pixels(d, size, static_cast<T>(row[kSaturation]));
}

/// Calls visit(out, in) for every position that is not blanked: out takes what is at in.
template <class Visit>
void each_move(const Size& size, const float* row, const Visit& visit) {
  const auto whole = [row](int64_t column) { return static_cast<int64_t>(row[column]); };
  const bool flip = whole(kFlip) > 0;
  for (int64_t i = 0; i < size.height; ++i) {
    const int64_t from_i = i + whole(kShiftRows);
    if (from_i < 0 || from_i >= size.height) continue;
    const bool boxed_row = i >= whole(kBoxTop) && i < whole(kBoxBottom);
    for (int64_t plain = 0; plain < size.width; ++plain) {
      const int64_t j = flip ? size.width - 1 - plain : plain;  // before the flip
      const int64_t from_j = j + whole(kShiftColumns);
      if (from_j < 0 || from_j >= size.width) continue;
      if (boxed_row && j >= whole(kBoxLeft) && j < whole(kBoxRight)) continue;
      visit(i * size.width + plain, from_i * size.width + from_j);
    }
  }
}

/// Calls visit(out, in, weight) for the bilinear samples of every position; outside counts as zero.
/// Coordinates run from -1 to 1 over whole sides, positions are centres of pixels.
template <class T, class Visit>
void each_sample(const Size& size, const float* row, const Visit& visit) {
  const auto value = [row](int64_t column) { return static_cast<T>(row[kMap + column]); };
  const T width = static_cast<T>(size.width), height = static_cast<T>(size.height);
  for (int64_t i = 0; i < size.height; ++i) {
    const T y = static_cast<T>(2 * i + 1) / height - 1;
    for (int64_t j = 0; j < size.width; ++j) {
      const T x = static_cast<T>(2 * j + 1) / width - 1;
      const T across = ((value(0) * x + value(1) * y + value(2) + 1) * width - 1) / 2;
      const T down = ((value(3) * x + value(4) * y + value(5) + 1) * height - 1) / 2;
      const T left = std::floor(across), top = std::floor(down);
      const T right_part = across - left, lower_part = down - top;
      const auto column = static_cast<int64_t>(left), line = static_cast<int64_t>(top);
      for (int64_t a = 0; a < 2; ++a)
        for (int64_t b = 0; b < 2; ++b) {
          if (line + a < 0 || line + a >= size.height || column + b < 0 || column + b >= size.width)
            continue;
          const T weight = (a ? lower_part : 1 - lower_part) * (b ? right_part : 1 - right_part);
          visit(i * size.width + j, (line + a) * size.width + column + b, weight);
        }
    }
  }
}

/// `from` and `to` are buffers of one image; the answer ends in `from`.
template <class T>
void forward_image(const Size& size, const float* row, std::vector<T>& from, std::vector<T>& to) {
  const Asked asked(row);
  const int64_t area = size.area();
  if (asked.color) color(from.data(), size, row);
  if (asked.moves) {
    std::fill(to.begin(), to.end(), T(0));
    each_move(size, row, [&](int64_t out, int64_t in) {
      for (int64_t c = 0; c < size.count(); c += area) to.data()[c + out] = from.data()[c + in];
    });
    from.swap(to);
  }
  if (asked.map) {
    std::fill(to.begin(), to.end(), T(0));
    each_sample<T>(size, row, [&](int64_t out, int64_t in, T weight) {
      for (int64_t c = 0; c < size.count(); c += area)
        to.data()[c + out] += weight * from.data()[c + in];
    });
    from.swap(to);
  }
}

template <class T>
void backward_image(const Size& size, const float* row, std::vector<T>& from, std::vector<T>& to) {
  const Asked asked(row);
  const int64_t area = size.area();
  if (asked.map) {
    std::fill(to.begin(), to.end(), T(0));
    each_sample<T>(size, row, [&](int64_t out, int64_t in, T weight) {
      for (int64_t c = 0; c < size.count(); c += area)
        to.data()[c + in] += weight * from.data()[c + out];
    });
    from.swap(to);
  }
  if (asked.moves) {
    std::fill(to.begin(), to.end(), T(0));
    each_move(size, row, [&](int64_t out, int64_t in) {
      for (int64_t c = 0; c < size.count(); c += area) to.data()[c + in] += from.data()[c + out];
    });
    from.swap(to);
  }
  if (asked.color) color_back(from.data(), size, row);
}

template <class T>
at::Tensor each_image(const at::Tensor& images, const at::Tensor& rows, bool back) {
  const at::Tensor in = images.contiguous(), all_rows = rows.to(at::kFloat).contiguous();
  at::Tensor out = at::empty_like(in);
  const Size size{in.size(1), in.size(2), in.size(3)};
  const T* source = in.data_ptr<T>();
  T* target = out.data_ptr<T>();
  const float* row = all_rows.data_ptr<float>();
  const int64_t stride = rows.size(0) > 1 ? int64_t{kColumns} : 0;
  parallel_for(in.size(0), [&](int64_t n) {
    std::vector<T> from(source + n * size.count(), source + (n + 1) * size.count());
    std::vector<T> to(from.size());
    if (back)
      backward_image(size, row + n * stride, from, to);
    else
      forward_image(size, row + n * stride, from, to);
    std::copy(from.begin(), from.end(), target + n * size.count());
  });
  return out;
}

at::Tensor each_image_of(const at::Tensor& images, const at::Tensor& rows, bool back) {
  return images.scalar_type() == at::kDouble ? each_image<double>(images, rows, back)
                                             : each_image<float>(images, rows, back);
}

class Rows : public torch::autograd::Function<Rows> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images,
                            const at::Tensor& rows) {
    context->save_for_backward({rows});
    return each_image_of(images, rows, false);
  }
  static variable_list backward(AutogradContext* context, variable_list cotangents) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "augmented images have no second derivative");
    return {each_image_of(cotangents[0], context->get_saved_variables()[0], true), at::Tensor()};
  }
};

}  // namespace

at::Tensor apply_rows(const at::Tensor& images, const at::Tensor& rows) {
  if (at::GradMode::is_enabled() && images.requires_grad()) return Rows::apply(images, rows);
  return each_image_of(images, rows, false);
}

at::Tensor pullback_rows(const at::Tensor& cotangents, const at::Tensor& rows) {
  return each_image_of(cotangents, rows, true);
}

}  // namespace retort::augment
