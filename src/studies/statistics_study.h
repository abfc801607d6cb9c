// What BatchNorm's statistics of teachers look like, and what gradients they give to images:
// whether those of self-supervised teachers are more uneven and stronger (Zhou et al. 2024).
// Measures that a rescaling of convolutions changes stand beside ones that it does not.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/teachers/teacher.h"

namespace retort::studies {

/// How uneven positive numbers are over channels.
struct Spread {
  double median = 0, variation = 0;  ///< deviation over mean
  double log_deviation = 0;          ///< deviation of the natural logarithm
  double entropy = 0;                ///< of the shares, over that of equal ones: 1 is flat
  double gaussian_entropy = 0;       ///< half the mean of ln(2 pi e v)
};
Spread spread_of(const at::Tensor& values);

/// One layer's running statistics RV and RM. All deviations are over channels.
struct LayerStatistics {
  std::string layer;
  int64_t channels = 0;
  double largest_variance = 0, least_mean = 0, largest_mean = 0;
  Spread variance;                 ///< of RV: changes with the scale of the layer before (median,
                                   ///< gaussian_entropy) or not (the rest)
  double mean_deviation = 0;       ///< of RM / sqrt(RV + e)
  std::optional<Spread> response;  ///< of RV over the squared norm of the channel's filter; absent
                                   ///< where no convolution is known to feed the layer
};
std::vector<LayerStatistics> layer_statistics(const teachers::Teacher& teacher);

/// What a batch of images gets from a teacher: gradients of its mean cross-entropy and of the
/// distance to its statistics, the first layer's ten times.
struct Signal {
  double cross_entropy = 0, raw = 0, scale_free = 0;                             ///< losses
  double cross_entropy_gradient = 0, raw_gradient = 0, scale_free_gradient = 0;  ///< norms
  double cosine = 0;             ///< between the first two gradients
  double first_layer_share = 0;  ///< norm of the first layer's (ten times) over raw_gradient
  std::vector<double> layers;    ///< norm of each layer's raw gradient, once
  double ratio() const { return raw_gradient / cross_entropy_gradient; }
};
/// Of network inputs [N, C, H, W] and their classes.
Signal signal_of(const teachers::Teacher& teacher, const nets::Network& network,
                 const at::Tensor& images, const at::Tensor& labels);

/// The same function with every convolution that feeds a BatchNorm layer `factor` times as large:
/// RM becomes factor RM, RV + e becomes factor^2 (RV + e).
teachers::Teacher rescaled(const teachers::Teacher& teacher, double factor);

/// The teacher with statistics measured anew on plain images (uint8).
teachers::Teacher recalibrated(const teachers::Teacher& teacher, const at::Tensor& images,
                               int64_t batch_size);

/// A teacher as it was measured.
struct Measured {
  std::string name, network, objective;
  int64_t epochs = 0, parameters = 0;
  bool control = false;  ///< rescaled: no part in the verdict
  std::vector<LayerStatistics> layers;
  Signal noise, real;  ///< at images of noise and at real ones
};

/// What the decision rules, written down before any run, say of recalibrated teachers. Where
/// several teachers of a kind share a network, their means are compared.
struct Verdict {
  int64_t layers = 0, sizes = 0;  ///< layers that were compared; networks that have both kinds
  int64_t spread_up = 0;          ///< layers where self-supervised is larger in ln RV's deviation
  int64_t response_up = 0;        ///< and in that of the response
  bool at_every_size = false;     ///< 70 % of layers in both, at each size
  double spread_chance = 1, response_chance = 1;  ///< of as many under a fair coin
  std::vector<double> trend;      ///< median ratio of ln RV's deviation, by growing size
  std::vector<double> raw_ratio;  ///< of gradients at noise, by growing size
  std::vector<double> scale_free_ratio;
  bool spread = false, signal_raw = false, signal_scale_free = false;
  std::vector<std::string> lines() const;  ///< in words
};
Verdict judge(const std::vector<Measured>& teachers);

}  // namespace retort::studies
