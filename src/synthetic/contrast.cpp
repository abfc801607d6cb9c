#include "synthetic/contrast.h"

#include <fmt/format.h>

namespace retort::synthetic {
namespace {

constexpr int64_t kLooked = 1000;  // images are enough
constexpr double kFlat = 0.1;      // of the contrast of real images

/// Deviation of the pixels of an image from their mean, mean over images; pixels in [0, 1].
double contrast(const at::Tensor& pixels) {
  return pixels.flatten(1).std(1, /*unbiased=*/false).mean().item<double>();
}

}  // namespace

std::string flatness_note(const Bundle& bundle, const at::Tensor& real) {
  if (bundle.preprocessing_missing || real.size(0) == 0) return {};
  const at::Tensor images = bundle.images.slice(0, 0, kLooked).to(at::kFloat);
  const double ours = contrast(bundle.preprocessing.invert(images));
  const double theirs = contrast(real.slice(0, 0, kLooked).to(at::kFloat) / 255);
  if (ours >= kFlat * theirs) return {};
  return fmt::format(
      "the images are nearly flat: within an image the pixels deviate by {:.1f} % of their range, "
      "those of real images by {:.1f} %. The set has hardly learned: give more --iterations, a "
      "larger --image-learning-rate, or a start from real images",
      100 * ours, 100 * theirs);
}

}  // namespace retort::synthetic
