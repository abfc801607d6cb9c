// Sweeps over one image whose inner loops run over neighbouring channels. No torch here.
// Sums go row by row in float and from row to row in double; their order is fixed, so results
// depend on the processor's instruction set alone, not on threads.
#include "nets/fused/kernels.h"

#include <cmath>
#include <vector>

// One version for every instruction set, chosen when the program is loaded. The sanitizers would
// instrument the choice itself, which runs before they are ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RETORT_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RETORT_CLONES
#endif
#define RETORT_INLINE inline __attribute__((always_inline))
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")  // -O2 leaves loops of unknown length unvectorised
#define RETORT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define RETORT_INDEPENDENT
#endif

namespace retort::nets {
namespace {

constexpr double kEpsilon = 1e-5;

// The positions that share one output: four of a 2x2 window, or one.
struct Cells {
  int64_t rows, columns;
  int64_t across, down;  // floats from one position of a cell to its neighbours
};

RETORT_INLINE Cells cells_of(const FusedShape& s, bool pool) {
  if (!pool) return {s.height, s.width, 0, 0};
  return {s.height / 2, s.width / 2, s.channels, s.width * s.channels};
}

RETORT_INLINE int64_t cell_start(const FusedShape& s, bool pool, int64_t row, int64_t column) {
  return pool ? (2 * row * s.width + 2 * column) * s.channels
              : (row * s.width + column) * s.channels;
}

RETORT_INLINE void add_and_clear(int64_t channels, float* __restrict row,
                                 double* __restrict total) {
  RETORT_INDEPENDENT
  for (int64_t c = 0; c < channels; ++c) {
    total[c] += static_cast<double>(row[c]);
    row[c] = 0;
  }
}

// Mean and inverse deviation of every channel. Values are taken less the first one, so that a mean
// far from zero does not swallow the variance.
RETORT_CLONES void moments(const FusedShape& s, const float* __restrict z, float* __restrict first,
                           float* __restrict sum, float* __restrict square,
                           double* __restrict total_sum, double* __restrict total_square,
                           float* __restrict mean, float* __restrict rstd) {
  const int64_t channels = s.channels, width = s.width;
  for (int64_t c = 0; c < channels; ++c) first[c] = z[c];
  for (int64_t row = 0; row < s.height; ++row) {
    int64_t column = 0;
    for (; column + 4 <= width; column += 4) {
      const float* __restrict z0 = z + (row * width + column) * channels;
      const float* __restrict z1 = z0 + channels;
      const float* __restrict z2 = z1 + channels;
      const float* __restrict z3 = z2 + channels;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) {
        const float a = z0[c] - first[c], b = z1[c] - first[c];
        const float d = z2[c] - first[c], e = z3[c] - first[c];
        sum[c] += (a + b) + (d + e);
        square[c] += (a * a + b * b) + (d * d + e * e);
      }
    }
    for (; column < width; ++column) {
      const float* __restrict z0 = z + (row * width + column) * channels;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) {
        const float a = z0[c] - first[c];
        sum[c] += a;
        square[c] += a * a;
      }
    }
    add_and_clear(channels, sum, total_sum);
    add_and_clear(channels, square, total_square);
  }
  const double count = static_cast<double>(s.height * width);
  for (int64_t c = 0; c < channels; ++c) {
    const double m = total_sum[c] / count;
    const double variance = total_square[c] / count - m * m;
    mean[c] = static_cast<float>(static_cast<double>(first[c]) + m);
    rstd[c] = static_cast<float>(1 / std::sqrt((variance > 0 ? variance : 0) + kEpsilon));
  }
}

// Numbers of every channel: the normalised value is y = scale (z - mean) + shift. It is written in
// the same way everywhere, so that forward and backward agree where ReLU bends.
struct Folded {
  const float *scale, *mean, *shift;
};

template <bool kRelu, bool kPool>
RETORT_INLINE void normalise(const FusedShape& s, const float* __restrict z, Folded folded,
                             float* __restrict out) {
  const float* __restrict scale = folded.scale;
  const float* __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift;
  const Cells cells = cells_of(s, kPool);
  for (int64_t row = 0; row < cells.rows; ++row) {
    for (int64_t column = 0; column < cells.columns; ++column) {
      const float* __restrict z0 = z + cell_start(s, kPool, row, column);
      const float* __restrict z1 = z0 + cells.across;
      const float* __restrict z2 = z0 + cells.down;
      const float* __restrict z3 = z2 + cells.across;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < s.channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c];
        float y0 = a * (z0[c] - m) + b;
        if (kRelu) y0 = y0 < 0 ? 0 : y0;
        if (kPool) {
          float y1 = a * (z1[c] - m) + b, y2 = a * (z2[c] - m) + b, y3 = a * (z3[c] - m) + b;
          if (kRelu) y1 = y1 < 0 ? 0 : y1, y2 = y2 < 0 ? 0 : y2, y3 = y3 < 0 ? 0 : y3;
          y0 = 0.25f * ((y0 + y1) + (y2 + y3));
        }
        out[c] = y0;
      }
      out += s.channels;
    }
  }
}

// Per channel, the sums over positions of dy and of dy (z - mean); dy is dl/dy.
struct Sums {
  float *row, *row_product;  // of one row of cells
  double *all, *all_product;
};

template <bool kRelu, bool kPool>
RETORT_INLINE void cotangent_sums(const FusedShape& s, const float* __restrict z,
                                  const float* __restrict dout, Folded folded, Sums sums) {
  const float* __restrict scale = folded.scale;
  const float* __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift;
  float* __restrict sum = sums.row;
  float* __restrict product = sums.row_product;
  const Cells cells = cells_of(s, kPool);
  for (int64_t row = 0; row < cells.rows; ++row) {
    for (int64_t column = 0; column < cells.columns; ++column) {
      const float* __restrict z0 = z + cell_start(s, kPool, row, column);
      const float* __restrict z1 = z0 + cells.across;
      const float* __restrict z2 = z0 + cells.down;
      const float* __restrict z3 = z2 + cells.across;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < s.channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c];
        const float dy = kPool ? 0.25f * dout[c] : dout[c];
        const float x0 = z0[c] - m;
        const float d0 = !kRelu || a * x0 + b > 0 ? dy : 0;
        if (kPool) {
          const float x1 = z1[c] - m, x2 = z2[c] - m, x3 = z3[c] - m;
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
      dout += s.channels;
    }
    add_and_clear(s.channels, sum, sums.all);
    add_and_clear(s.channels, product, sums.all_product);
  }
}

// dz = scale dy - slope (z - mean) - level.
template <bool kRelu, bool kPool>
RETORT_INLINE void pull_back(const FusedShape& s, const float* __restrict z,
                             const float* __restrict dout, Folded folded,
                             const float* __restrict slope, const float* __restrict level,
                             float* __restrict dz) {
  const float* __restrict scale = folded.scale;
  const float* __restrict mean = folded.mean;
  const float* __restrict shift = folded.shift;
  const Cells cells = cells_of(s, kPool);
  for (int64_t row = 0; row < cells.rows; ++row) {
    for (int64_t column = 0; column < cells.columns; ++column) {
      const int64_t start = cell_start(s, kPool, row, column);
      const float* __restrict z0 = z + start, * __restrict z1 = z0 + cells.across;
      const float* __restrict z2 = z0 + cells.down, * __restrict z3 = z2 + cells.across;
      float* __restrict o0 = dz + start, * __restrict o1 = o0 + cells.across;
      float* __restrict o2 = o0 + cells.down, * __restrict o3 = o2 + cells.across;
      RETORT_INDEPENDENT
      for (int64_t c = 0; c < s.channels; ++c) {
        const float a = scale[c], m = mean[c], b = shift[c], k = slope[c], l = level[c];
        const float dy = a * (kPool ? 0.25f * dout[c] : dout[c]);
        const float x0 = z0[c] - m;
        const float y0 = (!kRelu || a * x0 + b > 0 ? dy : 0) - k * x0 - l;
        if (kPool) {
          const float x1 = z1[c] - m, x2 = z2[c] - m, x3 = z3[c] - m;
          o1[c] = (!kRelu || a * x1 + b > 0 ? dy : 0) - k * x1 - l;
          o2[c] = (!kRelu || a * x2 + b > 0 ? dy : 0) - k * x2 - l;
          o3[c] = (!kRelu || a * x3 + b > 0 ? dy : 0) - k * x3 - l;
        }
        o0[c] = y0;
      }
      dout += s.channels;
    }
  }
}

struct Sweeps {
  decltype(&normalise<true, true>) normalise;
  decltype(&cotangent_sums<true, true>) sums;
  decltype(&pull_back<true, true>) pull_back;
};

// Functions with clones cannot be templates: each case is spelled out.
#define RETORT_CASE(tag, relu, pool)                                                         \
  RETORT_CLONES void normalise_##tag(const FusedShape& s, const float* z, Folded folded,     \
                                     float* out) {                                           \
    normalise<relu, pool>(s, z, folded, out);                                                \
  }                                                                                          \
  RETORT_CLONES void sums_##tag(const FusedShape& s, const float* z, const float* dout,      \
                                Folded folded, Sums sums) {                                  \
    cotangent_sums<relu, pool>(s, z, dout, folded, sums);                                    \
  }                                                                                          \
  RETORT_CLONES void pull_back_##tag(const FusedShape& s, const float* z, const float* dout, \
                                     Folded folded, const float* slope, const float* level,  \
                                     float* dz) {                                            \
    pull_back<relu, pool>(s, z, dout, folded, slope, level, dz);                             \
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

}  // namespace

void fused_forward(const FusedShape& shape, const float* z, const float* gain, const float* shift,
                   float* out, float* mean, float* rstd) {
  const int64_t channels = shape.channels;
  std::vector<float> floats(static_cast<size_t>(4 * channels));
  std::vector<double> doubles(static_cast<size_t>(2 * channels));
  float *first = floats.data(), *sum = first + channels, *square = sum + channels;
  float* scale = square + channels;
  moments(shape, z, first, sum, square, doubles.data(), doubles.data() + channels, mean, rstd);
  for (int64_t c = 0; c < channels; ++c) scale[c] = gain[c] * rstd[c];
  sweeps_of(shape).normalise(shape, z, {scale, mean, shift}, out);
}

void fused_backward(const FusedShape& shape, const float* z, const float* dout, const float* gain,
                    const float* shift, const float* mean, const float* rstd, float* dz,
                    float* dgain, float* dshift) {
  const int64_t channels = shape.channels;
  std::vector<float> floats(static_cast<size_t>(5 * channels));
  std::vector<double> doubles(static_cast<size_t>(2 * channels));
  float *scale = floats.data(), *slope = scale + channels, *level = slope + channels;
  float *row = level + channels, *row_product = row + channels;
  double *all = doubles.data(), *all_product = all + channels;
  for (int64_t c = 0; c < channels; ++c) scale[c] = gain[c] * rstd[c];
  const Folded folded{scale, mean, shift};
  const Sweeps sweeps = sweeps_of(shape);
  sweeps.sums(shape, z, dout, folded, {row, row_product, all, all_product});
  const double count = static_cast<double>(shape.height * shape.width);
  for (int64_t c = 0; c < channels; ++c) {
    const double r = static_cast<double>(rstd[c]), a = static_cast<double>(scale[c]);
    dgain[c] = static_cast<float>(r * all_product[c]);
    dshift[c] = static_cast<float>(all[c]);
    slope[c] = static_cast<float>(a * r * r * all_product[c] / count);
    level[c] = static_cast<float>(a * all[c] / count);
  }
  sweeps.pull_back(shape, z, dout, folded, slope, level, dz);
}

}  // namespace retort::nets
