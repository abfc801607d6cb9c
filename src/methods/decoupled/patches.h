// Mosaics of real patches that a teacher chooses (Sun et al., CVPR 2024).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "retort/methods/method.h"
#include "retort/train/ready_teacher.h"

namespace retort::methods {

/// How patches are drawn and chosen.
struct PatchOptions {
  int64_t candidates = 300;        ///< real images of a class that are looked at
  int64_t crops = 5;               ///< of each
  int64_t mosaic = 1;              ///< an image is mosaic times mosaic patches
  std::string choice = "easiest";  ///< easiest | medium: about the median of the teacher's loss

  void declare(OptionSet& set);
};

/// Images [M, C, H, W] of the context's geometry, class after class. Every candidate gives its
/// patch of least loss. ConfigError where a class has too few images, or the mosaic does not divide
/// the sides.
at::Tensor compose_patches(const Context& context, const train::ReadyTeacher& teacher,
                           const PatchOptions& options);

/// ConfigError where compose_patches would refuse.
void check_patches(const Context& context, const PatchOptions& options);

}  // namespace retort::methods
