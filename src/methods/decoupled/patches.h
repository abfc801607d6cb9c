// Mosaics of real patches that a teacher chooses (Sun et al., CVPR 2024).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "retort/methods/method.h"
#include "teachers/loaded_teacher.h"

namespace retort::methods {

/// How patches are drawn and chosen.
struct PatchOptions {
  int64_t candidates = 300;        ///< real images of a class that are looked at
  int64_t crops = 5;               ///< of each
  int64_t mosaic = 1;              ///< an image is mosaic times mosaic patches
  std::string choice = "easiest";  ///< easiest | medium: about the median of the teacher's loss

  void declare(OptionSet& set);
};

/// Crops of n real images, m of each, and how hard they are to the teacher.
struct ScoredPatches {
  at::Tensor patches;  ///< [m, n, C, h, w], network input
  at::Tensor losses;   ///< [m, n]
};

/// Patches [n, C, h, w] in the middle of images of zeros.
at::Tensor padded(const at::Tensor& patches, int64_t height, int64_t width);
/// The crop of least loss of every image; of these the `count` of least loss, or as many about the
/// middle, in order of their losses: [count, C, h, w].
at::Tensor choose_patches(const ScoredPatches& scored, int64_t count, const std::string& choice);
/// [f^2 n, C, h, w] to n images [n, C, f h, f w]: image j holds patches j, n + j, 2 n + j and so
/// on, row by row.
at::Tensor tiled(const at::Tensor& patches, int64_t f);

/// Images [M, C, H, W] of the context's geometry, class after class. Every candidate gives its
/// patch of least loss. ConfigError where a class has too few images, or the mosaic does not divide
/// the sides.
at::Tensor compose_patches(const Context& context, const teachers::LoadedTeacher& teacher,
                           const PatchOptions& options);

/// ConfigError where compose_patches would refuse.
void check_patches(const Context& context, const PatchOptions& options);

}  // namespace retort::methods
