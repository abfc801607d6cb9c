// The views of images that a teacher is trained on.
#pragma once

#include <torch/types.h>

#include <string>

#include "augment/moco_views.h"
#include "retort/core/random.h"
#include "teachers/squeeze.h"

namespace retort::teachers {

/// The augmentation that the options name, or that of the objective and the data where it is auto.
std::string augmentation_of(const SqueezeInput& input);

/// Draws views; `input` must outlive it.
class SqueezeViews {
 public:
  explicit SqueezeViews(const SqueezeInput& input);
  /// A view of each of the images (uint8 [N, C, H, W]): network input, on the device.
  at::Tensor get(const at::Tensor& bytes, RandomStream stream) const;

 private:
  at::Tensor view(const at::Tensor& pixels, RandomStream& stream) const;

  const SqueezeInput& input_;
  const std::string augmentation_;
  augment::MocoViewOptions view_;
  at::Tensor mean_, deviation_;  // [C, 1, 1]; undefined: pixels are inputs
};

}  // namespace retort::teachers
