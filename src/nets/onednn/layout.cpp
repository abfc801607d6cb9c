#include "nets/onednn/layout.h"

#include <algorithm>

namespace retort::nets {

namespace {

/// Calls visit(place in the plain layout, place in the blocked one) for every value.
template <class Visit>
void each_value(int64_t rows, int64_t channels, int64_t positions, const Visit& visit) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; c += block)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t k = 0; k < block; ++k)
          visit((n * channels + c + k) * positions + p,
                (n * channels + c) * positions + p * block + k);
}

}  // namespace

void from_blocked(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  each_value(rows, channels, positions,
             [&](int64_t plain, int64_t blocked) { to[plain] = from[blocked]; });
}

void to_blocked(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  each_value(rows, channels, positions,
             [&](int64_t plain, int64_t blocked) { to[blocked] = from[plain]; });
}

void col2im(const BlockedLayer& l, const float* from, int64_t rows, float* to) {
  const int64_t block = channel_block(), positions = l.map_height * l.map_width;
  const int64_t taps = l.in * l.kernel * l.kernel, blocks = (taps + block - 1) / block;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* source = from + (n * blocks + tap / block) * positions * block + tap % block;
      float* image = to + (n * l.in + tap / (l.kernel * l.kernel)) * l.height * l.width;
      // Position y, x of the map lies on pixel y + down, x + across.
      const int64_t down = tap / l.kernel % l.kernel - l.padding;
      const int64_t across = tap % l.kernel - l.padding;
      const int64_t top = std::max<int64_t>(0, -down), left = std::max<int64_t>(0, -across);
      const int64_t bottom = std::min(l.map_height, l.height - down);
      const int64_t right = std::min(l.map_width, l.width - across);
      for (int64_t y = top; y < bottom; ++y)
        for (int64_t x = left; x < right; ++x)
          image[(y + down) * l.width + x + across] += source[(y * l.map_width + x) * block];
    }
}

}  // namespace retort::nets
