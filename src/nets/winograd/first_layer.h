// The 3x3 convolution of stride 1 whose input has 1 to 4 channels: plain images
// [N, in, H, W], outputs in blocks of 16 channels, [N, out / 16, map, 16]. By F(4x4, 3x3) whose
// elements are made where they are used; the input's cotangent directly. Every call runs on the
// thread that makes it. No torch here.
#pragma once

#include <cstdint>

#include "nets/winograd/winograd.h"

namespace retort::nets {

constexpr int64_t kFirstChannels = 4;  ///< of an input, at most

/// out is a multiple of 16.
struct FirstShape {
  int64_t images, in, out, height, width;
  int64_t padding = 1;
  int64_t taps() const { return 9 * in; }
  int64_t input_size() const { return in * height * width; }
  int64_t map_height() const { return height + 2 * padding - 2; }
  int64_t map_width() const { return width + 2 * padding - 2; }
  int64_t tiled_height() const { return (map_height() + 3) / 4 * 4 + 2; }
  int64_t tiled_width() const { return (map_width() + 3) / 4 * 4 + 2; }
  int64_t positions() const { return map_height() * map_width(); }
};

/// Floats that weights take for the way there, and for the way back.
int64_t first_weights(const FirstShape& shape, bool turned);
/// Lays plain weights [out, in, 3, 3] out.
void first_pack(const FirstShape& shape, const float* plain, bool turned, float* weights);

/// Floats that a call works in.
int64_t first_scratch(const FirstShape& shape);
void first_forward(const FirstShape& shape, const float* input, const float* weights, float* output,
                   float* scratch);
/// Adds the input's cotangent to `dinput` [N, in, H, W], and that of more.input with the turned
/// weights more.other.
void first_input(const FirstShape& shape, const float* doutput, const float* turned, float* dinput,
                 float* scratch, const WinogradTerm& more = {});
/// Adds the weight's cotangent to `dweight` [out, in, 3, 3]: images in their order.
void first_weight(const FirstShape& shape, const float* input, const float* doutput, float* dweight,
                  float* scratch);

}  // namespace retort::nets
