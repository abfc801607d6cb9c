#include "nets/graph/borders.h"

#include <algorithm>

namespace retort::nets {
namespace {

/// Calls visit(place in the image, place in the patches) for every value of a patch that lies in
/// the image.
template <class Visit>
void each_tap(const PlanStep& s, const Visit& visit) {
  const int64_t kernel = s.conv.kernel, taps = kernel * kernel;
  for (int64_t k = 0; k < s.real; ++k) {
    const int64_t image = k / taps * s.in.height * s.in.width;
    const int64_t down = k % taps / kernel - s.conv.padding;
    const int64_t across = k % kernel - s.conv.padding;
    const int64_t to = k / kChannels * kChannels * s.positions() + k % kChannels;
    for (int64_t y = 0; y < s.out.height; ++y) {
      const int64_t row = y * s.conv.stride + down;
      if (row < 0 || row >= s.in.height) continue;
      for (int64_t x = 0; x < s.out.width; ++x) {
        const int64_t column = x * s.conv.stride + across;
        if (column < 0 || column >= s.in.width) continue;
        visit(image + row * s.in.width + column, to + (y * s.out.width + x) * kChannels);
      }
    }
  }
}

/// Calls visit(place in maps, place in features) for every feature.
template <class Visit>
void each_feature(const PlanStep& s, int64_t rows, const Visit& visit) {
  const int64_t positions = s.positions();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < s.real; ++c)
      for (int64_t p = 0; p < positions; ++p)
        visit(n * s.size() + c / kChannels * kChannels * positions + p * kChannels + c % kChannels,
              (n * s.real + c) * positions + p);
}

}  // namespace

void unfold_image(const PlanStep& step, const float* image, float* patches) {
  std::fill_n(patches, step.size(), 0.0f);
  each_tap(step, [&](int64_t at, int64_t to) { patches[to] = image[at]; });
}

void fold_image(const PlanStep& step, const float* patches, float* image) {
  std::fill_n(image, step.input_size(), 0.0f);
  each_tap(step, [&](int64_t at, int64_t from) { image[at] += patches[from]; });
}

void take_features(const PlanStep& step, int64_t rows, const float* maps, float* features) {
  each_feature(step, rows, [&](int64_t from, int64_t to) { features[to] = maps[from]; });
}

void put_features(const PlanStep& step, int64_t rows, const float* features, float* maps) {
  std::fill_n(maps, rows * step.size(), 0.0f);
  each_feature(step, rows, [&](int64_t to, int64_t from) { maps[to] = features[from]; });
}

}  // namespace retort::nets
