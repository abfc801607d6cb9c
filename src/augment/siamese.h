// Differentiable siamese augmentation (Zhao and Bilen, ICML 2021). Parameters are drawn on the
// host, one row a draw, and stay there; one fixed order of operations applies any row, so the same
// row gives the same transformation to real and synthetic images, and the gradient flows through to
// the images.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "retort/core/random.h"

namespace retort::augment {

/// Columns of a parameter row, float32. A value of identity() leaves the image exactly as it is.
enum Column : int64_t {
  kMap = 0,        ///< 6: the 2x3 sampling map of scale and rotate, row-major
  kShiftRows = 6,  ///< out[i, j] = in[i + rows, j + columns], zero outside
  kShiftColumns = 7,
  kBoxTop = 8,  ///< rows top..bottom-1 and columns left..right-1 are zeroed (after clipping)
  kBoxBottom = 9,
  kBoxLeft = 10,
  kBoxRight = 11,
  kFlip = 12,        ///< 1: mirrored left to right
  kBrightness = 13,  ///< added
  kSaturation = 14,  ///< factor about the mean over channels
  kContrast = 15,    ///< factor about the mean over the image
  kColumns = 16,
};

/// The operations to choose from and how many are applied.
struct Strategy {
  std::vector<std::string> operations;  ///< of color, crop, cutout, flip, scale, rotate
  bool all = false;                     ///< false: one picked at random; true: all, in order
  bool one_place = false;               ///< color, cutout and flip, and one of the others (IDC)
};

/// From "color_crop_cutout_flip_scale_rotate", "none" or empty; a leading "all:" applies all of
/// them, "one-place:" color, cutout and flip with one of the others. ConfigError with the accepted
/// words.
Strategy parse_strategy(const std::string& text);

/// The published default: digits, which are not `mirrorable`, are not flipped.
std::string default_strategy(bool mirrorable);

/// One row [1, 16]: one draw for a whole batch (siamese). Images are height x width.
at::Tensor draw_shared(const Strategy& strategy, int64_t height, int64_t width,
                       RandomStream& stream);

/// `count` rows [count, 16]: one operation for the mini-batch, its parameters drawn per image.
at::Tensor draw_each(const Strategy& strategy, int64_t count, int64_t height, int64_t width,
                     RandomStream& stream);

/// The row that changes nothing, [1, 16].
at::Tensor identity();

/// Applies rows to images [N, C, H, W]; `rows` is [N, 16] or [1, 16] (shared), on the CPU
/// whatever the images' device: what no row uses costs nothing there either. Order: color, shift,
/// box, flip, map. Differentiable once with respect to the images.
at::Tensor apply(const at::Tensor& images, const at::Tensor& rows);

/// Cotangents of apply()'s images [N, C, H, W] to those of the images before it, without a graph:
/// all operations are affine in the image, so the rows alone fix the way back.
at::Tensor pullback(const at::Tensor& rows, const at::Tensor& cotangents);

}  // namespace retort::augment
