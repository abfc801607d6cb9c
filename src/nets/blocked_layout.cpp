#include "nets/blocked_layout.h"

namespace retort::nets {

void unblock(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; c += block)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t k = 0; k < block; ++k)
          to[(n * channels + c + k) * positions + p] =
              from[(n * channels + c) * positions + p * block + k];
}

void block_up(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; c += block)
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t k = 0; k < block; ++k)
          to[(n * channels + c) * positions + p * block + k] =
              from[(n * channels + c + k) * positions + p];
}

void add_channels(const float* from, int64_t rows, int64_t channels, int64_t positions, float* to) {
  const int64_t block = channel_block();
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < positions; ++p)
        to[(n * channels + c) * positions + p] += from[(n * positions + p) * block + c];
}

}  // namespace retort::nets
