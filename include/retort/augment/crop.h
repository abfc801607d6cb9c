// Crops of images, resized: crop, flip and roll together are one matrix on rows and one on
// columns, so the adjoint is exact and two products as well.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "retort/core/random.h"

namespace retort::augment {

/// What one view of an image shows: a part of it, mirrored, then rolled with wrapping.
struct Crop {
  int64_t top = 0, left = 0;                ///< may lie outside the image, which is zero there
  int64_t height = 0, width = 0;            ///< in pixels of the image
  bool flip = false;                        ///< mirrored left to right
  int64_t roll_rows = 0, roll_columns = 0;  ///< the resized view moves down and right
};

/// The whole of an image.
Crop whole_image(int64_t height, int64_t width);

/// torchvision's RandomResizedCrop: an area of [low, high] of the image's, sides in a proportion
/// between 1 / aspect and aspect.
Crop draw_crop(int64_t height, int64_t width, double low, double high, double aspect,
               RandomStream& stream);

/// A crop of the image's size, moved by up to `padding` pixels each way (crop with padding).
Crop draw_shift(int64_t height, int64_t width, int64_t padding, RandomStream& stream);

/// Crops as linear maps of images, bilinear with align_corners=false.
class CropMap {
 public:
  /// `crops` of images of size `from` {H, W}, resized to `to` {h, w}: one for all images, or one
  /// for each. `smooth`: where a crop shrinks, its pixels are averaged (antialias of PyTorch).
  CropMap(const std::vector<Crop>& crops, at::IntArrayRef from, at::IntArrayRef to,
          const at::TensorOptions& options, bool smooth = false);
  at::Tensor apply(const at::Tensor& images) const;        ///< [N, C, H, W] to [N, C, h, w]
  at::Tensor adjoint(const at::Tensor& cotangents) const;  ///< [N, C, h, w] to [N, C, H, W]

 private:
  at::Tensor rows_;     // [N or 1, 1, h, H]
  at::Tensor columns_;  // [N or 1, 1, w, W]
};

}  // namespace retort::augment
