#include "nets/blocked/layout.h"

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

}  // namespace retort::nets
