#include "teachers/squeeze_views.h"

#include <vector>

#include "augment/siamese.h"
#include "retort/augment/crop.h"

namespace retort::teachers {
namespace {

bool flips(const data::Dataset& data) {
  return data.mirrorable;
}

}  // namespace

std::string augmentation_of(const SqueezeInput& input) {
  if (input.options.augmentation != "auto") return input.options.augmentation;
  if (input.options.objective != "supervised") return "views";
  return flips(input.data) ? "shift_flip" : "shift";
}

SqueezeViews::SqueezeViews(const SqueezeInput& input)
    : input_(input), augmentation_(augmentation_of(input)) {
  for (at::Tensor* tensor : {&mean_, &deviation_}) {
    const auto& values =
        tensor == &mean_ ? input.data.preprocessing.mean() : input.data.preprocessing.deviation();
    if (values.empty()) continue;
    *tensor = at::tensor(values, at::kDouble).to(at::kFloat).view({-1, 1, 1}).to(input.device);
  }
  if (!flips(input.data)) view_.flip = 0;
}

at::Tensor SqueezeViews::get(const at::Tensor& bytes, RandomStream stream) const {
  at::Tensor x = view(bytes.to(input_.device).to(at::kFloat).div_(255), stream);
  return mean_.defined() ? (x - mean_) / deviation_ : x;
}

at::Tensor SqueezeViews::view(const at::Tensor& pixels, RandomStream& stream) const {
  if (augmentation_ == "none") return pixels;
  if (augmentation_ == "views") return augment::moco_views(pixels, view_, stream);
  const int64_t height = pixels.size(2), width = pixels.size(3);
  std::vector<augment::Crop> crops;
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    crops.push_back(augmentation_ == "crop_flip"
                        ? augment::draw_crop(height, width, 0.08, 1, 4.0 / 3, stream)
                        : augment::draw_shift(height, width, height / 8, stream));
    crops.back().flip = augmentation_ != "shift" && stream.uniform() < 0.5;
  }
  return augment::CropMap(crops, {height, width}, {height, width}, pixels.options()).apply(pixels);
}

}  // namespace retort::teachers
