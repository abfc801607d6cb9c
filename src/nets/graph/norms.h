// Coefficients of norms: from the sums over maps of single images to an affine map by channel, and
// the same for cotangents. Sums over a batch go over its images in order.
#pragma once

#include <cstdint>
#include <vector>

#include "nets/graph/plan.h"

namespace retort::nets {

constexpr int64_t kNormGroups = 4;  ///< of group norm

/// Values by image and channel; one image's serve all where `step` is 0.
struct ByChannel {
  float* values = nullptr;
  int64_t step = 0;
  float* of(int64_t image) const { return values + image * step; }
};

/// What a norm reads from and of: theta, running statistics (frozen ones, or none), its map.
struct NormCall {
  const PlanTerm& term;
  const float* theta;
  const float* state;  ///< null: batch statistics
  int64_t rows, channels, positions;
  int64_t real;  ///< channels that are not padding
  /// True where images share their coefficients, and where these need sums over the map.
  bool shared() const { return term.norm == NormKind::kBatch || term.norm == NormKind::kNone; }
  bool measures() const { return term.norm != NormKind::kNone && !state; }
  /// Channels that are normalised together.
  int64_t together() const {
    if (term.norm == NormKind::kLayer) return real;
    return term.norm == NormKind::kGroup ? real / kNormGroups : 1;
  }
  /// Layer norm's gains are not by channel: a step of its own.
  double gain(int64_t channel) const {
    return term.gain < 0 ? 1.0 : static_cast<double>(theta[term.gain + channel]);
  }
};
/// The call of the norm behind a convolution, for `rows` images; running statistics are
/// BatchNorm's.
NormCall norm_call(const PlanTerm& term, const PlanStep& conv, const float* theta,
                   const float* state, int64_t rows);

/// A channel's value in theta or a direction; 0 where there is none.
inline double offset_of(const float* theta, int64_t offset, int64_t channel) {
  return offset < 0 ? 0.0 : static_cast<double>(theta[offset + channel]);
}

/// Images begin..end-1 and channels first..first + width - 1, which are normalised together.
struct NormSet {
  int64_t begin, end, first, width;
};
template <class Visit>
void each_set(const NormCall& c, const Visit& visit) {
  const int64_t images = c.shared() ? c.rows : 1, width = c.together();
  for (int64_t n = 0; n < c.rows; n += images)
    for (int64_t k = 0; k < c.real; k += width) visit(NormSet{n, n + images, k, width});
}

/// Means and sums of squared deviations [rows, C] of images' maps.
struct MapMoments {
  const float *mean, *squares;
};
/// Mean and biased variance of images begin..end-1.
void moments_of(const MapMoments& maps, int64_t begin, int64_t end, int64_t channels,
                int64_t positions, double* mean, double* variance);

/// Derivatives by a norm's parameters [C] and by its convolution's bias.
struct NormParameters {
  std::vector<double> gain, shift, bias;
  /// Adds them where they stand in dtheta.
  void add_to(const NormCall& call, float* dtheta) const;
};

/// n = (z - mean) rstd, y = scale z + level.
struct NormCoefficients {
  ByChannel mean, rstd, scale, level;
};
/// `maps` only where the norm measures; leaves the batch's biased variance in `variance` [C] where
/// that is not null.
void norm_coefficients(const NormCall& call, const MapMoments& maps, const NormCoefficients& into,
                       float* variance);

/// Sums of g and of g (z - mean) of images' maps [rows, C].
struct MapSums {
  const float *sum, *product;
};
/// dz = p g + q (z - mean) + r.
struct NormSlopes {
  ByChannel p, q, r;
};
/// From sums of g and of g (z - mean) of each image [rows, C].
void norm_slopes(const NormCall& call, const MapSums& sums, const NormCoefficients& found,
                 const NormSlopes& into);
/// Adds what cotangents [G, 2, C] of the moments of groups of rows make of a map. Where there are
/// several groups, slopes are by image.
void add_moment_slopes(const NormCall& call, const MapMoments& maps,
                       const std::vector<int64_t>& edges, const float* cotangents,
                       const NormCoefficients& found, const NormSlopes& into);
/// Adds the cotangents of gain, shift and the convolution's bias. Means of maps may be null where
/// slopes are p alone.
void add_norm_parameters(const NormCall& call, const MapSums& sums, const MapMoments& maps,
                         const NormCoefficients& found, const NormSlopes& slopes, float* dtheta);

}  // namespace retort::nets
