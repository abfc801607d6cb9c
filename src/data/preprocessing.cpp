// From bytes to network input and back: x/255, per-channel mean and deviation, or ZCA whitening.
#include <torch/types.h>

#include <cmath>
#include <utility>

#include "core/parallel_for.h"
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

at::Tensor Preprocessing::gather(const at::Tensor& bytes, const at::Tensor& rows,
                                 at::Device device) const {
  if (!bytes.is_cpu() || !device.is_cpu() || kind_ == "zca" || !bytes.is_contiguous())
    return apply(bytes.index_select(0, rows), device);
  TORCH_CHECK(bytes.scalar_type() == at::kByte && bytes.dim() == 4, "wants uint8 [N, C, H, W]");
  const int64_t channels = bytes.size(1), area = bytes.size(2) * bytes.size(3);
  const at::Tensor index = rows.contiguous();
  TORCH_CHECK(index.numel() == 0 ||
                  (index.min().item<int64_t>() >= 0 && index.max().item<int64_t>() < bytes.size(0)),
              "rows beyond the images");
  at::Tensor images = at::empty({index.size(0), channels, bytes.size(2), bytes.size(3)});
  const auto* from = bytes.data_ptr<uint8_t>();
  const auto* row = index.data_ptr<int64_t>();
  const bool scaled = kind_ == "mean_std";
  TORCH_CHECK(!scaled || scale_.size(0) == channels, "images have ", channels,
              " channels, mean and std ", scale_.size(0));
  const float* scale = scaled ? scale_.data_ptr<float>() : nullptr;
  const float* shift = scaled ? shift_.data_ptr<float>() : nullptr;
  auto* to = images.data_ptr<float>();
  parallel_for(index.size(0), [&](int64_t n) {
    const uint8_t* source = from + row[n] * channels * area;
    float* target = to + n * channels * area;
    for (int64_t c = 0; c < channels; ++c, source += area, target += area) {
      const float factor = scaled ? scale[c] : 1, offset = scaled ? shift[c] : 0;
      for (int64_t i = 0; i < area; ++i)
        target[i] = scaled ? static_cast<float>(source[i]) * factor + offset
                           : static_cast<float>(source[i]) / 255;
    }
  });
  return images;
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
