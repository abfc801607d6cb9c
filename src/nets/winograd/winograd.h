// Convolutions of 3x3, stride 1 and padding 1 in float32 by Winograd's minimal filtering, on maps
// of blocks of 16 channels: [N, C / 16, H, W, 16]. Every call runs on the thread that makes it, and
// an image gets the same bits alone and in any batch: callers deal images out. No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

constexpr int64_t kWinogradBlock = 16;  ///< channels that lie side by side

/// F(2x2, 3x3) or F(4x4, 3x3): the outputs of a tile. The larger takes fewer products and rounds
/// more.
enum class WinogradTile : int64_t { k2 = 2, k4 = 4 };

/// in and out are multiples of 16; sides are any.
struct WinogradShape {
  int64_t images, in, out, height, width;
  WinogradTile tile = WinogradTile::k4;
  int64_t tiles() const;  ///< of all images
  int64_t input_size() const { return in * height * width; }
  int64_t output_size() const { return out * height * width; }
};

/// Floats that transformed weights take.
int64_t winograd_weights(const WinogradShape& shape);
/// Transforms plain weights [out, in, 3, 3]. `turned`: for the way back, whose shape has in and out
/// changed round: weights are those of the way there, [in, out, 3, 3] by this shape's names.
void winograd_pack(const WinogradShape& shape, const float* plain, bool turned, float* weights);

/// A second product of the same shape, which is added to the first: what it multiplies.
struct WinogradTerm {
  const float *input = nullptr, *other = nullptr;
};

/// Floats that a call of one or two terms works in.
int64_t winograd_scratch(const WinogradShape& shape, int64_t terms = 1);
/// output = input * weights, and more.input * more.other. The input's cotangent is the output's,
/// convolved with turned weights.
void winograd_convolve(const WinogradShape& shape, const float* input, const float* weights,
                       float* output, float* scratch, const WinogradTerm& more = {});

int64_t winograd_weight_scratch(const WinogradShape& shape);
/// Adds the weight's cotangent to `dweight` [out, in, 3, 3], images in their order, then those of
/// more.input and the cotangents more.other.
void winograd_weight(const WinogradShape& shape, const float* input, const float* doutput,
                     float* dweight, float* scratch, const WinogradTerm& more = {});
/// The same of one group of input and output channels, so that threads can share the work.
int64_t winograd_weight_groups(const WinogradShape& shape);
void winograd_weight_group(const WinogradShape& shape, int64_t group, const float* input,
                           const float* doutput, float* dweight, float* scratch,
                           const WinogradTerm& more = {});

}  // namespace retort::nets
