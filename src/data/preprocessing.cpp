// From bytes to network input and back: x/255, per-channel mean and deviation, or ZCA whitening.
#include <torch/types.h>

#include <cmath>
#include <utility>

#include "retort/data/dataset.h"

namespace retort::data {
namespace {

/// One value a channel as float32 [C, 1, 1].
at::Tensor per_channel(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).to(at::kFloat).view({-1, 1, 1});
}

}  // namespace

Preprocessing Preprocessing::mean_std(std::vector<double> mean, std::vector<double> deviation) {
  TORCH_CHECK(mean.size() == deviation.size(), "mean and deviation differ in channels");
  std::vector<double> scale, shift;
  for (size_t c = 0; c < mean.size(); ++c) {
    TORCH_CHECK(deviation[c] > 0, "deviation of channel ", c, " is ", deviation[c]);
    scale.push_back(1 / (255 * deviation[c]));
    shift.push_back(-mean[c] / deviation[c]);
  }
  Preprocessing result;
  result.kind_ = "mean_std";
  result.mean_ = std::move(mean);
  result.deviation_ = std::move(deviation);
  result.scale_ = per_channel(scale);
  result.shift_ = per_channel(shift);
  return result;
}

Preprocessing Preprocessing::zca(at::Tensor mean, at::Tensor whitening, at::Tensor inverse) {
  const int64_t pixels = mean.numel();
  TORCH_CHECK(mean.dim() == 1 && whitening.sizes() == at::IntArrayRef({pixels, pixels}) &&
                  inverse.sizes() == whitening.sizes(),
              "ZCA wants mean [D], whitening and inverse [D, D]");
  Preprocessing result;
  result.kind_ = "zca";
  result.zca_mean_ = mean.to(at::kFloat).contiguous();
  result.zca_matrix_ = whitening.to(at::kFloat).contiguous();
  result.zca_inverse_ = inverse.to(at::kFloat).contiguous();
  return result;
}

Preprocessing Preprocessing::on(at::Device device) const {
  Preprocessing result = *this;
  for (at::Tensor* tensor : {&result.scale_, &result.shift_, &result.zca_mean_, &result.zca_matrix_,
                             &result.zca_inverse_})
    if (tensor->defined()) *tensor = tensor->to(device);
  return result;
}

at::Tensor Preprocessing::apply(const at::Tensor& bytes, at::Device device) const {
  TORCH_CHECK(bytes.scalar_type() == at::kByte && bytes.dim() == 4, "wants uint8 [N, C, H, W]");
  // Bytes travel, floats are made on the device: a quarter of the copy.
  at::Tensor x = bytes.to(device).to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
  if (kind_ == "mean_std") {
    TORCH_CHECK(scale_.size(0) == x.size(1), "images have ", x.size(1), " channels, mean and std ",
                scale_.size(0));
    return x.mul_(scale_.to(device)).add_(shift_.to(device));
  }
  x.div_(255);
  if (kind_ == "none") return x;
  TORCH_CHECK(x.numel() == x.size(0) * zca_mean_.size(0), "images have another size than ZCA");
  return at::mm(x.flatten(1).sub_(zca_mean_.to(device)), zca_matrix_.to(device)).view(x.sizes());
}

at::Tensor Preprocessing::invert(const at::Tensor& input) const {
  at::Tensor x = input.to(at::kFloat);
  if (kind_ == "mean_std") {
    x = (x - shift_.to(x.device())) / (scale_.to(x.device()) * 255);
  } else if (kind_ == "zca") {
    const at::Tensor flat = at::mm(x.flatten(1), zca_inverse_.to(x.device()));
    x = flat.add_(zca_mean_.to(x.device())).view(input.sizes());
  }
  return x.clamp(0, 1);
}

}  // namespace retort::data
