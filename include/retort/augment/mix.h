// Mixing the images of a batch: CutMix (Yun et al., ICCV 2019) and MixUp (Zhang et al., ICLR 2018).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "retort/core/random.h"

namespace retort::augment {

/// How a batch is mixed; drawn once for all of it.
struct Mix {
  enum class Kind { kNone, kCut, kAdd } kind = Kind::kNone;
  std::vector<int64_t> partners;                     ///< row i is mixed with row partners[i]
  double own = 1;                                    ///< the share of an image that stays its own
  int64_t top = 0, bottom = 0, left = 0, right = 0;  ///< kCut: the box taken from the partner
};

/// "none", "cutmix", "mixup"; ConfigError on other words.
Mix::Kind parse_mix(const std::string& word);

/// The share is drawn from Beta(alpha, alpha). CutMix: a box of sides sqrt(1 - share) of the
/// image's about a uniform centre, clipped; `own` is then what the clipped box leaves.
Mix draw_mix(Mix::Kind kind, double alpha, int64_t count, int64_t height, int64_t width,
             RandomStream& stream);

at::Tensor mix_images(const at::Tensor& images, const Mix& mix);    ///< [N, C, H, W]
at::Tensor mix_targets(const at::Tensor& targets, const Mix& mix);  ///< float [N, K]

}  // namespace retort::augment
