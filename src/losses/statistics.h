// How far the statistics of a batch are from those that a BatchNorm layer keeps (Yin et al., CVPR
// 2020; Yin, Xing and Shen, NeurIPS 2023). Closed forms, float32 or float64, no graph.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace retort::losses {

/// Means and biased variances of [N, C, h, w] over N, h and w.
struct Moments {
  at::Tensor mean, variance;  ///< [C]
};
Moments moments(const at::Tensor& input);
/// Moments as the two rows of a tensor [2, C], and back.
at::Tensor as_rows(const Moments& moments);
Moments from_rows(const at::Tensor& rows);

/// What the distances are measured in.
enum class StatisticsUnit {
  kRaw,        ///< |variance - v| + |mean - m|, norms over channels, as published
  kScaleFree,  ///< |(variance - v) / (v + e)| + |(mean - m) / sqrt(v + e)|, over sqrt(C): the same
               ///< when the layer before is scaled; e = 1e-5, BatchNorm's
};

/// The distance of one layer's batch and its derivatives by the batch's moments.
struct StatisticsDistance {
  double value = 0;
  Moments derivative;
};

/// Of the moments of what enters a BatchNorm layer from the ones that it keeps.
StatisticsDistance statistics_distance(const Moments& found, const Moments& kept,
                                       StatisticsUnit unit);

}  // namespace retort::losses
