// Sweeps over one image whose inner loops run over neighbouring channels. No torch here.
// Sums go row by row in float and from row to row in double; their order is fixed, so results
// depend on the processor's instruction set alone, not on threads.
#include "nets/fused/kernels.h"

#include <cmath>
#include <vector>

#include "core/sizes.h"

// One version for every instruction set, chosen when the program is loaded. The sanitizers would
// instrument the choice itself, which runs before they are ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RETORT_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RETORT_CLONES
#endif
#define RETORT_INLINE_CALL __attribute__((always_inline))
#define RETORT_INLINE inline RETORT_INLINE_CALL
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")  // -O2 leaves loops of unknown length unvectorised
#define RETORT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define RETORT_INDEPENDENT
#endif

namespace retort::nets {
namespace {

constexpr double kEpsilon = 1e-5;
template <bool kPool>
constexpr int64_t kSide = kPool ? 2 : 1;  // of the window whose positions share one output

/// Calls visit(place, place of the output) for the cells of a row: 2x2 windows, or positions.
template <bool kPool, class Visit>
RETORT_INLINE void each_cell(const FusedShape& s, int64_t row, const Visit& visit) {
  const int64_t columns = s.width / kSide<kPool>, step = kSide<kPool> * s.channels;
  int64_t place = row * step * s.width, out = row * columns * s.channels;
  for (int64_t column = 0; column < columns; ++column, place += step, out += s.channels)
    visit(place, out);
}

/// The values of a cell, channel by channel; all four are the first where nothing is pooled.
template <class Float>
struct Corners {
  Float* __restrict first, * __restrict right, * __restrict below, * __restrict across;
};

template <bool kPool, class Float>
RETORT_INLINE Corners<Float> corners(int64_t across, int64_t down, Float* z) {
  if (!kPool) return {z, z, z, z};
  return {z, z + across, z + down, z + down + across};
}

RETORT_INLINE void add_and_clear(int64_t channels, float* __restrict row,
                                 double* __restrict total) {
  RETORT_INDEPENDENT
  for (int64_t c = 0; c < channels; ++c) {
    total[c] += row[c];
    row[c] = 0;
  }
}

/// Two sums per channel: of a row of cells in float, and of all rows in double.
struct Sums {
  float *row, *row_second;
  double *all, *all_second;
  RETORT_INLINE void end_row(int64_t channels) const {
    add_and_clear(channels, row, all);
    add_and_clear(channels, row_second, all_second);
  }
};

/// Sums of values and of their squares; values are taken less `first`.
RETORT_INLINE void add_row(int64_t width, int64_t channels, const float* __restrict z,
                           const float* __restrict first, const Sums& sums) {
  float* __restrict sum = sums.row, * __restrict square = sums.row_second;
  int64_t column = 0;
  for (; column + 4 <= width; column += 4) {
    const float* __restrict z0 = z + column * channels, * __restrict z1 = z0 + channels;
    const float* __restrict z2 = z1 + channels, * __restrict z3 = z2 + channels;
    RETORT_INDEPENDENT
    for (int64_t c = 0; c < channels; ++c) {
      const float a = z0[c] - first[c], b = z1[c] - first[c];
      const float d = z2[c] - first[c], e = z3[c] - first[c];
      sum[c] += (a + b) + (d + e);
      square[c] += (a * a + b * b) + (d * d + e * e);
    }
  }
  for (; column < width; ++column) {
    const float* __restrict z0 = z + column * channels;
    RETORT_INDEPENDENT
    for (int64_t c = 0; c < channels; ++c) {
      const float a = z0[c] - first[c];
      sum[c] += a;
      square[c] += a * a;
    }
  }
}

// Mean and inverse deviation of every channel. Values are taken less the first one, so that a mean
// far from zero does not swallow the variance.
RETORT_CLONES void measure(const FusedShape& s, const float* __restrict z, const Sums& sums,
                           const FusedMoments& moments) {
  for (int64_t row = 0; row < s.height; ++row) {
    add_row(s.width, s.channels, z + row * s.width * s.channels, z, sums);
    sums.end_row(s.channels);
  }
  const double count = s.height * s.width;
  for (int64_t c = 0; c < s.channels; ++c) {
    const double m = sums.all[c] / count;
    const double variance = sums.all_second[c] / count - m * m;
    moments.mean[c] = static_cast<float>(z[c] + m);
    moments.rstd[c] = static_cast<float>(1 / std::sqrt((variance > 0 ? variance : 0) + kEpsilon));
  }
}

// Numbers of every channel: the normalised value is y = scale (z - mean) + shift. It is written in
// the same way everywhere, so that forward and backward agree where ReLU bends.
struct Folded {
  const float *scale, *mean, *shift;
};

template <bool kRelu, bool kPool>
RETORT_INLINE void normalise(const FusedShape& s, const float* z, const Folded& folded,
                             float* out) {
  const float* __restrict scale = folded.scale, * __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift;
  const int64_t channels = s.channels, down = s.width * channels;
  for (int64_t row = 0; row < s.height / kSide<kPool>; ++row)
    each_cell<kPool>(s, row, [&](int64_t place, int64_t to) RETORT_INLINE_CALL {
      const Corners<const float> at = corners<kPool>(channels, down, z + place);
      float* __restrict target = out + to;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c];
        float y0 = a * (at.first[c] - m) + b;
        if (kRelu) y0 = y0 < 0 ? 0 : y0;
        if (kPool) {
          float y1 = a * (at.right[c] - m) + b, y2 = a * (at.below[c] - m) + b;
          float y3 = a * (at.across[c] - m) + b;
          if (kRelu) y1 = y1 < 0 ? 0 : y1, y2 = y2 < 0 ? 0 : y2, y3 = y3 < 0 ? 0 : y3;
          y0 = 0.25f * ((y0 + y1) + (y2 + y3));
        }
        target[c] = y0;
      }
    });
}

/// Per channel, the sums over positions of dy and of dy (z - mean); dy is dl/dy.
template <bool kRelu, bool kPool>
RETORT_INLINE void cotangent_sums(const FusedShape& s, const float* z, const float* dout,
                                  const Folded& folded, const Sums& sums) {
  const float* __restrict scale = folded.scale, * __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift;
  float* __restrict sum = sums.row, * __restrict product = sums.row_second;
  const int64_t channels = s.channels, down = s.width * channels;
  for (int64_t row = 0; row < s.height / kSide<kPool>; ++row) {
    each_cell<kPool>(s, row, [&](int64_t place, int64_t from) RETORT_INLINE_CALL {
      const Corners<const float> at = corners<kPool>(channels, down, z + place);
      const float* __restrict source = dout + from;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c];
        const float dy = kPool ? 0.25f * source[c] : source[c];
        const float x0 = at.first[c] - m;
        const float d0 = !kRelu || a * x0 + b > 0 ? dy : 0;
        if (kPool) {
          const float x1 = at.right[c] - m, x2 = at.below[c] - m, x3 = at.across[c] - m;
          const float d1 = !kRelu || a * x1 + b > 0 ? dy : 0;
          const float d2 = !kRelu || a * x2 + b > 0 ? dy : 0;
          const float d3 = !kRelu || a * x3 + b > 0 ? dy : 0;
          sum[c] += (d0 + d1) + (d2 + d3);
          product[c] += (d0 * x0 + d1 * x1) + (d2 * x2 + d3 * x3);
        } else {
          sum[c] += d0;
          product[c] += d0 * x0;
        }
      }
    });
    sums.end_row(s.channels);
  }
}

/// Per channel: dz = scale dy - slope (z - mean) - level.
struct WayBack {
  const float *slope, *level;
};

template <bool kRelu, bool kPool>
RETORT_INLINE void pull_back(const FusedShape& s, const float* z, const float* dout,
                             const Folded& folded, const WayBack& back, float* dz) {
  const float* __restrict scale = folded.scale, * __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift, * __restrict slope = back.slope;
  const float* __restrict level = back.level;
  const int64_t channels = s.channels, down = s.width * channels;
  for (int64_t row = 0; row < s.height / kSide<kPool>; ++row)
    each_cell<kPool>(s, row, [&](int64_t place, int64_t from) RETORT_INLINE_CALL {
      const Corners<const float> at = corners<kPool>(channels, down, z + place);
      const Corners<float> to = corners<kPool>(channels, down, dz + place);
      const float* __restrict source = dout + from;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c], k = slope[c], l = level[c];
        const float dy = a * (kPool ? 0.25f * source[c] : source[c]);
        const float x0 = at.first[c] - m;
        const float y0 = (!kRelu || a * x0 + b > 0 ? dy : 0) - k * x0 - l;
        if (kPool) {
          const float x1 = at.right[c] - m, x2 = at.below[c] - m, x3 = at.across[c] - m;
          to.right[c] = (!kRelu || a * x1 + b > 0 ? dy : 0) - k * x1 - l;
          to.below[c] = (!kRelu || a * x2 + b > 0 ? dy : 0) - k * x2 - l;
          to.across[c] = (!kRelu || a * x3 + b > 0 ? dy : 0) - k * x3 - l;
        }
        to.first[c] = y0;
      }
    });
}

struct Sweeps {
  decltype(&normalise<true, true>) normalise;
  decltype(&cotangent_sums<true, true>) sums;
  decltype(&pull_back<true, true>) pull_back;
};

// Functions with clones cannot be templates: each case is spelled out.
#define RETORT_CASE(tag, relu, pool)                                                            \
  RETORT_CLONES void normalise_##tag(const FusedShape& s, const float* z, const Folded& folded, \
                                     float* out) {                                              \
    normalise<relu, pool>(s, z, folded, out);                                                   \
  }                                                                                             \
  RETORT_CLONES void sums_##tag(const FusedShape& s, const float* z, const float* dout,         \
                                const Folded& folded, const Sums& sums) {                       \
    cotangent_sums<relu, pool>(s, z, dout, folded, sums);                                       \
  }                                                                                             \
  RETORT_CLONES void pull_back_##tag(const FusedShape& s, const float* z, const float* dout,    \
                                     const Folded& folded, const WayBack& back, float* dz) {    \
    pull_back<relu, pool>(s, z, dout, folded, back, dz);                                        \
  }
RETORT_CASE(relu_pool, true, true)
RETORT_CASE(relu, true, false)
RETORT_CASE(pool, false, true)
RETORT_CASE(plain, false, false)
#undef RETORT_CASE

Sweeps sweeps_of(const FusedShape& s) {
  if (s.relu && s.pool) return {normalise_relu_pool, sums_relu_pool, pull_back_relu_pool};
  if (s.relu) return {normalise_relu, sums_relu, pull_back_relu};
  if (s.pool) return {normalise_pool, sums_pool, pull_back_pool};
  return {normalise_plain, sums_plain, pull_back_plain};
}

/// Zeros for a sweep, one row a name.
class Scratch {
 public:
  Scratch(int64_t channels)
      : channels_(channels), floats_(to_size(5 * channels)), doubles_(to_size(2 * channels)) {}
  float* row(int64_t i) { return floats_.data() + i * channels_; }
  Sums sums() { return {row(3), row(4), doubles_.data(), doubles_.data() + channels_}; }

 private:
  const int64_t channels_;
  std::vector<float> floats_;
  std::vector<double> doubles_;
};

}  // namespace

void fused_forward(const FusedShape& shape, const float* z, const FusedAffine& affine, float* out,
                   const FusedMoments& moments) {
  Scratch scratch(shape.channels);
  measure(shape, z, scratch.sums(), moments);
  float* scale = scratch.row(0);
  for (int64_t c = 0; c < shape.channels; ++c) scale[c] = affine.gain[c] * moments.rstd[c];
  sweeps_of(shape).normalise(shape, z, {scale, moments.mean, affine.shift}, out);
}

void fused_backward(const FusedShape& shape, const float* z, const float* dout,
                    const FusedAffine& affine, const FusedMoments& moments,
                    const FusedCotangents& into) {
  Scratch scratch(shape.channels);
  float *scale = scratch.row(0), *slope = scratch.row(1), *level = scratch.row(2);
  for (int64_t c = 0; c < shape.channels; ++c) scale[c] = affine.gain[c] * moments.rstd[c];
  const Folded folded{scale, moments.mean, affine.shift};
  const Sweeps sweeps = sweeps_of(shape);
  const Sums sums = scratch.sums();
  sweeps.sums(shape, z, dout, folded, sums);
  const double count = shape.height * shape.width;
  for (int64_t c = 0; c < shape.channels; ++c) {
    const double r = moments.rstd[c], a = scale[c], sum = sums.all[c], product = sums.all_second[c];
    into.gain[c] = static_cast<float>(r * product);
    into.shift[c] = static_cast<float>(sum);
    slope[c] = static_cast<float>(a * r * r * product / count);
    level[c] = static_cast<float>(a * sum / count);
  }
  sweeps.pull_back(shape, z, dout, folded, {slope, level}, into.z);
}

}  // namespace retort::nets
