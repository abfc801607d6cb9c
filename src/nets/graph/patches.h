// Convolutions of any square kernel and stride by gathered patches, on maps of blocks of 16
// channels: for what Winograd does not take. Every call runs on the thread that makes it, and an
// image gets the same bits alone and in any batch. No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

/// in and out are multiples of 16.
struct PatchShape {
  int64_t in, out, height, width, kernel, stride, padding;
  int64_t taps() const { return kernel * kernel; }
  int64_t map_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int64_t map_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  int64_t positions() const { return map_height() * map_width(); }
  int64_t input_size() const { return in * height * width; }
  int64_t output_size() const { return out * positions(); }
  int64_t weights() const { return taps() * in * out; }
};

/// Images that are taken together, so that weights in cache meet enough rows.
int64_t patch_images(const PatchShape& shape);

/// Transforms plain weights [out, in, k, k]: panel `panel` of 32 outputs, or of 32 inputs where
/// they are `turned` for the way back.
int64_t patch_panels(const PatchShape& shape, bool turned);
void patch_pack(const PatchShape& shape, int64_t panel, const float* plain, bool turned,
                float* weights);

/// Floats that a call on `images` works in.
int64_t patch_scratch(const PatchShape& shape, int64_t images);
void patch_forward(const PatchShape& shape, int64_t images, const float* input,
                   const float* weights, float* output, float* scratch);
/// The input's cotangent, written over `dinput`.
void patch_input(const PatchShape& shape, int64_t images, const float* doutput, const float* turned,
                 float* dinput, float* scratch);

/// The weight's cotangent in two phases. First the cotangents of every piece of patch_images() are
/// laid out by panels; then every part, a tap with some channels, sums over all pieces and adds to
/// `dweight` [out, in, k, k].
void patch_columns(const PatchShape& shape, int64_t images, const float* doutput, float* columns);
int64_t patch_parts(const PatchShape& shape);
int64_t patch_part_scratch(const PatchShape& shape);
void patch_weight(const PatchShape& shape, int64_t images, int64_t part, const float* input,
                  const float* columns, float* dweight, float* scratch);

}  // namespace retort::nets
