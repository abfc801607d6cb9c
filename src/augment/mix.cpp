#include "retort/augment/mix.h"

#include <algorithm>
#include <cmath>

#include "retort/core/error.h"

namespace retort::augment {
namespace {

/// Beta(alpha, alpha) by Joehnk's rejection, good for alpha of about 1 and below.
double draw_share(double alpha, RandomStream& stream) {
  if (alpha == 1) return stream.uniform();
  while (true) {
    const double x = std::pow(stream.uniform(), 1 / alpha),
                 y = std::pow(stream.uniform(), 1 / alpha);
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
}

at::Tensor partners_of(const Mix& mix, const at::Tensor& rows) {
  return rows.index_select(0, at::tensor(mix.partners, at::kLong).to(rows.device()));
}

}  // namespace

Mix::Kind parse_mix(const std::string& word) {
  if (word == "none") return Mix::Kind::kNone;
  if (word == "cutmix") return Mix::Kind::kCut;
  if (word == "mixup") return Mix::Kind::kAdd;
  throw ConfigError::unknown("choosing how batches are mixed", "mixing", word,
                             {"none", "cutmix", "mixup"});
}

Mix draw_mix(Mix::Kind kind, double alpha, int64_t count, int64_t height, int64_t width,
             RandomStream& stream) {
  Mix mix;
  mix.kind = kind;
  if (kind == Mix::Kind::kNone) return mix;
  mix.own = draw_share(alpha, stream);
  mix.partners = stream.permutation(count);
  if (kind == Mix::Kind::kAdd) return mix;
  const double cut = std::sqrt(1 - mix.own);
  const auto half_height = static_cast<int64_t>(cut * static_cast<double>(height)) / 2,
             half_width = static_cast<int64_t>(cut * static_cast<double>(width)) / 2;
  const int64_t row = stream.uniform_int(height), column = stream.uniform_int(width);
  mix.top = std::max<int64_t>(row - half_height, 0);
  mix.bottom = std::min(row + half_height, height);
  mix.left = std::max<int64_t>(column - half_width, 0);
  mix.right = std::min(column + half_width, width);
  mix.own = 1 - static_cast<double>((mix.bottom - mix.top) * (mix.right - mix.left)) /
                    static_cast<double>(height * width);
  return mix;
}

at::Tensor mix_images(const at::Tensor& images, const Mix& mix) {
  if (mix.kind == Mix::Kind::kNone) return images;
  if (mix.kind == Mix::Kind::kAdd)
    return images * mix.own + partners_of(mix, images) * (1 - mix.own);
  at::Tensor mixed = images.clone();
  const auto box = [&mix](const at::Tensor& x) {
    return x.slice(2, mix.top, mix.bottom).slice(3, mix.left, mix.right);
  };
  box(mixed).copy_(partners_of(mix, box(images)));
  return mixed;
}

at::Tensor mix_targets(const at::Tensor& targets, const Mix& mix) {
  if (mix.kind == Mix::Kind::kNone) return targets;
  return targets * mix.own + partners_of(mix, targets) * (1 - mix.own);
}

}  // namespace retort::augment
