#include "nets/graph/patches.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/graph/patches.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/products_inl.h"

#ifndef RETORT_PATCH_PLAN
#define RETORT_PATCH_PLAN
namespace retort::nets {

constexpr int64_t kColumns = 32;       ///< of a panel
constexpr int64_t kPartChannels = 32;  ///< of the weight's cotangent that are summed together

inline int64_t part_channels(const PatchShape& s, int64_t begin) {
  return std::min(kPartChannels, s.in - begin);
}

}  // namespace retort::nets
#endif

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Calls visit(place in the map, place in the output) for positions whose tap lies on the map.
template <class Visit>
HWY_INLINE void each_position(const PatchShape& s, int64_t tap, const Visit& visit) {
  const int64_t down = tap / s.kernel - s.padding, across = tap % s.kernel - s.padding;
  int64_t out = 0;
  for (int64_t y = 0; y < s.map_height(); ++y)
    for (int64_t x = 0; x < s.map_width(); ++x, ++out) {
      const int64_t row = y * s.stride + down, column = x * s.stride + across;
      const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
      visit(inside ? row * s.width + column : -1, out);
    }
}

HWY_INLINE void copy_block(const float* from, float* to) {
  const Floats d;
  for (int64_t c = 0; c < kBlock; c += kLanes) hn::Store(hn::Load(d, from + c), d, to + c);
}

HWY_INLINE void add_block(const float* from, float* to) {
  const Floats d;
  for (int64_t c = 0; c < kBlock; c += kLanes)
    hn::Store(hn::Add(hn::Load(d, from + c), hn::Load(d, to + c)), d, to + c);
}

/// One tap of blocks begin..end-1 of images to [blocks, images, positions, 16].
HWY_INLINE void gather_tap(const PatchShape& s, int64_t images, int64_t tap, int64_t begin,
                           int64_t end, const float* input, float* to) {
  const Floats d;
  const int64_t positions = s.positions(), map = s.height * s.width * kBlock;
  for (int64_t b = begin; b < end; ++b)
    for (int64_t n = 0; n < images; ++n, to += positions * kBlock) {
      const float* from = input + n * s.input_size() + b * map;
      each_position(s, tap, [&](int64_t place, int64_t out) HWY_ATTR {
        if (place >= 0) return copy_block(from + place * kBlock, to + out * kBlock);
        for (int64_t c = 0; c < kBlock; c += kLanes)
          hn::Store(hn::Zero(d), d, to + out * kBlock + c);
      });
    }
}

void PatchPack(const PatchShape& s, int64_t panel, const float* plain, bool turned,
               float* weights) {
  const int64_t rows = turned ? s.out : s.in, columns = turned ? s.in : s.out;
  const int64_t first = panel * kColumns, width = std::min(kColumns, columns - first);
  float* to = weights + first * rows * s.taps();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const int64_t o = turned ? r : first + c, i = turned ? first + c : r;
      for (int64_t tap = 0; tap < s.taps(); ++tap)
        to[(tap * rows + r) * width + c] = plain[(o * s.in + i) * s.taps() + tap];
    }
}

void PatchForward(const PatchShape& s, int64_t images, const float* input, const float* weights,
                  float* output, float* scratch) {
  const int64_t positions = s.positions(), count = images * positions, blocks = s.in / kBlock;
  for (int64_t tap = 0; tap < s.taps(); ++tap)
    gather_tap(s, images, tap, 0, blocks, input, scratch + tap * s.in * count);
  float* made = scratch + s.taps() * s.in * count;
  for (int64_t first = 0; first < s.out; first += kColumns) {
    const int64_t width = std::min(kColumns, s.out - first);
    multiply(count, width,
             {scratch, s.taps() * blocks, count * kBlock, weights + first * s.in * s.taps(), width,
              made, width});
    for (int64_t n = 0; n < images; ++n)
      for (int64_t c = 0; c < width; c += kBlock) {
        float* to = output + n * s.output_size() + (first + c) * positions;
        const float* from = made + n * positions * width + c;
        for (int64_t p = 0; p < positions; ++p) copy_block(from + p * width, to + p * kBlock);
      }
  }
}

void PatchInput(const PatchShape& s, int64_t images, const float* doutput, const float* turned,
                float* dinput, float* scratch) {
  const int64_t positions = s.positions(), count = images * positions, blocks = s.out / kBlock;
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t n = 0; n < images; ++n)
      std::copy_n(doutput + n * s.output_size() + b * positions * kBlock, positions * kBlock,
                  scratch + (b * images + n) * positions * kBlock);
  float* made = scratch + s.out * count;
  std::fill_n(dinput, images * s.input_size(), 0.0f);
  const int64_t map = s.height * s.width;
  for (int64_t first = 0; first < s.in; first += kColumns) {
    const int64_t width = std::min(kColumns, s.in - first);
    for (int64_t tap = 0; tap < s.taps(); ++tap) {
      multiply(count, width,
               {scratch, blocks, count * kBlock,
                turned + first * s.out * s.taps() + tap * s.out * width, width, made, width});
      for (int64_t n = 0; n < images; ++n)
        for (int64_t c = 0; c < width; c += kBlock) {
          float* to = dinput + n * s.input_size() + (first + c) * map;
          const float* from = made + n * positions * width + c;
          each_position(s, tap, [&](int64_t place, int64_t out) HWY_ATTR {
            if (place >= 0) add_block(from + out * width, to + place * kBlock);
          });
        }
    }
  }
}

void PatchColumns(const PatchShape& s, int64_t images, const float* doutput, float* columns) {
  const int64_t positions = s.positions(), count = images * positions;
  for (int64_t first = 0; first < s.out; first += kColumns) {
    const int64_t width = std::min(kColumns, s.out - first);
    for (int64_t n = 0; n < images; ++n)
      for (int64_t c = 0; c < width; c += kBlock) {
        const float* from = doutput + n * s.output_size() + (first + c) * positions;
        float* to = columns + first * count + n * positions * width + c;
        for (int64_t p = 0; p < positions; ++p) copy_block(from + p * kBlock, to + p * width);
      }
  }
}

void PatchWeight(const PatchShape& s, int64_t images, int64_t part, const float* input,
                 const float* columns, float* dweight, float* scratch) {
  const int64_t tap = part % s.taps(), begin = part / s.taps() * kPartChannels;
  const int64_t channels = part_channels(s, begin), together = patch_images(s);
  float* patches = scratch + channels * s.out;
  for (int64_t n = 0; n < images; n += together) {
    const int64_t own = std::min(together, images - n), count = own * s.positions();
    gather_tap(s, own, tap, begin / kBlock, (begin + channels) / kBlock, input + n * s.input_size(),
               patches);
    for (int64_t first = 0; first < s.out; first += kColumns)
      outer_products(n > 0, channels, std::min(kColumns, s.out - first), count, patches,
                     columns + n * s.output_size() + first * count, scratch + first * channels);
  }
  for (int64_t first = 0; first < s.out; first += kColumns) {
    const int64_t width = std::min(kColumns, s.out - first);
    const float* sum = scratch + first * channels;
    for (int64_t c = 0; c < width; ++c)
      for (int64_t i = 0; i < channels; ++i)
        dweight[((first + c) * s.in + begin + i) * s.taps() + tap] += sum[i * width + c];
  }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(PatchPack);
HWY_EXPORT(PatchForward);
HWY_EXPORT(PatchInput);
HWY_EXPORT(PatchColumns);
HWY_EXPORT(PatchWeight);

int64_t patch_images(const PatchShape& s) {
  constexpr int64_t kRows = 112;
  return std::max<int64_t>(1, kRows / s.positions());
}

int64_t patch_panels(const PatchShape& s, bool turned) {
  return ((turned ? s.in : s.out) + kColumns - 1) / kColumns;
}

int64_t patch_scratch(const PatchShape& s, int64_t images) {
  return images * s.positions() * (std::max(s.taps() * s.in, s.out) + kColumns);
}

int64_t patch_parts(const PatchShape& s) {
  return s.taps() * ((s.in + kPartChannels - 1) / kPartChannels);
}

int64_t patch_part_scratch(const PatchShape& s) {
  return kPartChannels * (s.out + patch_images(s) * s.positions());
}

void patch_pack(const PatchShape& shape, int64_t panel, const float* plain, bool turned,
                float* weights) {
  HWY_DYNAMIC_DISPATCH(PatchPack)(shape, panel, plain, turned, weights);
}

void patch_forward(const PatchShape& shape, int64_t images, const float* input,
                   const float* weights, float* output, float* scratch) {
  HWY_DYNAMIC_DISPATCH(PatchForward)(shape, images, input, weights, output, scratch);
}

void patch_input(const PatchShape& shape, int64_t images, const float* doutput, const float* turned,
                 float* dinput, float* scratch) {
  HWY_DYNAMIC_DISPATCH(PatchInput)(shape, images, doutput, turned, dinput, scratch);
}

void patch_columns(const PatchShape& shape, int64_t images, const float* doutput, float* columns) {
  HWY_DYNAMIC_DISPATCH(PatchColumns)(shape, images, doutput, columns);
}

void patch_weight(const PatchShape& shape, int64_t images, int64_t part, const float* input,
                  const float* columns, float* dweight, float* scratch) {
  HWY_DYNAMIC_DISPATCH(PatchWeight)(shape, images, part, input, columns, dweight, scratch);
}

}  // namespace retort::nets
#endif
