#include "synthetic/frequency.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "synthetic/separable.h"

// FreD's transform is not normalised: its coefficients are 64 times ours at 32 pixels, the one at
// (0, 0) 128 times, those with one index 0 between. A published rate L on them moves an image as
// L / 64^2 = L / 4096 (L / 16384 for (0, 0)) does here: the 1e8 of trajectory matching is 2.4e4.
// Orthonormal cosines have the operator norm 1, so the rates of pixels serve here, factor 1.

namespace retort::synthetic {
namespace {

/// The places of an image with the lowest frequencies first, as row * width + column.
std::vector<int64_t> low_first(int64_t height, int64_t width) {
  std::vector<int64_t> order(to_size(height * width));
  std::iota(order.begin(), order.end(), 0);
  const auto frequency = [&](int64_t place) { return place / width + place % width; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return frequency(a) < frequency(b); });
  return order;
}

/// The images whose coefficients, with the places that those of a class share, take no more bytes
/// than `budget` images of pixels: a place is a number, too.
int64_t images_within(const SetLayout& layout, int64_t budget, int64_t frequencies) {
  const int64_t numbers = budget * layout.channels * layout.height * layout.width;
  return std::max<int64_t>(numbers - frequencies, 0) / (layout.channels * frequencies);
}

class Frequency : public Parametrisation {
 public:
  Frequency(const ParametrisationInput& input, int64_t frequencies) : layout_(input.budget) {
    const int64_t height = layout_.height, width = layout_.width;
    for (int64_t& count : layout_.counts) count = images_within(layout_, count, frequencies);
    const auto kind = at::TensorOptions().dtype(input.type).device(input.device);
    coefficients_ = at::zeros({layout_.size(), layout_.channels, frequencies}, kind);
    places_ = at::zeros({layout_.classes(), frequencies}, kind.dtype(at::kInt));
    labels_ = layout_.labels().to(input.device);
    cosines_ = cosines({height, width}, kind);
  }

  const SetLayout& layout() const override { return layout_; }
  void initialise(const at::Tensor& images) override {
    TORCH_CHECK(images.size(0) == layout_.size(), images.size(0), " images cannot initialise ",
                layout_.size());
    const at::Tensor all = cosines_.apply(images.detach().to(coefficients_)).flatten(2);
    choose(all.mean(1).to(at::kCPU, at::kDouble));
    coefficients_.copy_(all.gather(2, index()));
  }
  at::Tensor decode() const override {
    const int64_t height = layout_.height, width = layout_.width;
    at::Tensor all =
        at::zeros({layout_.size(), layout_.channels, height * width}, coefficients_.options());
    all.scatter_(2, index(), coefficients_);
    return cosines_.adjoint(all.view({-1, layout_.channels, height, width}));
  }
  std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const override {
    return {cosines_.apply(cotangents).flatten(2).gather(2, index())};
  }
  std::vector<ParameterGroup> parameters() override {
    return {{"coefficients", coefficients_, 1.0}};
  }
  TensorMap compact() const override {
    return {{"coefficients", coefficients_}, {"frequencies", places_}};
  }

 private:
  /// Chooses the places of largest variance over the images of each class; where they are equal, as
  /// with a single image, the lowest frequencies. `mean` is [N, H W], the mean over channels.
  void choose(const at::Tensor& mean) {
    const std::vector<int64_t> offsets = layout_.offsets();
    const int64_t count = places_.size(1);
    for (int64_t c = 0; c < layout_.classes(); ++c) {
      const auto at = to_size(c);
      const at::Tensor variance =
          mean.slice(0, offsets[at], offsets[at + 1]).var(0, /*unbiased=*/false).contiguous();
      const double* value = variance.data_ptr<double>();
      std::vector<int64_t> order = low_first(layout_.height, layout_.width);
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return value[a] > value[b]; });
      order.resize(to_size(count));
      std::sort(order.begin(), order.end());
      places_[c].copy_(at::tensor(order, at::kLong));
    }
  }
  /// The place of every coefficient, int64 [N, C, M].
  at::Tensor index() const {
    return places_.to(at::kLong)
        .index_select(0, labels_)
        .unsqueeze(1)
        .expand(coefficients_.sizes());
  }

  SetLayout layout_;
  at::Tensor coefficients_;  // [N, C, M]
  at::Tensor places_;        // int32 [classes, M], ascending: row * width + column
  at::Tensor labels_;        // int64 [N]
  Separable cosines_;
};

class Kind : public ParametrisationKind {
 public:
  void declare(OptionSet& set) override {
    set.add("frequencies", frequencies_,
            "cosine coefficients kept of each channel, the same for all images of a class; an "
            "image of P pixels makes room for about P / this many",
            {.min = 1});
  }
  std::unique_ptr<Parametrisation> make(const ParametrisationInput& input) const override {
    const int64_t pixels = input.budget.height * input.budget.width;
    if (frequencies_ > pixels)
      throw ConfigError(ErrorMessage{
          "preparing frequency",
          fmt::format("{} frequencies are more than the {} of an image", frequencies_, pixels),
          fmt::format("from 1 to {}", pixels), "lower --frequencies"});
    for (const int64_t count : input.budget.counts)
      if (images_within(input.budget, count, frequencies_) < 1)
        throw ConfigError(ErrorMessage{
            "preparing frequency",
            fmt::format("{} coefficients and their places take more than the bytes of {} image{}",
                        frequencies_, count, count == 1 ? "" : "s"),
            "what --images-per-class allows", "lower --frequencies, or raise --images-per-class"});
    return std::make_unique<Frequency>(input, frequencies_);
  }

 private:
  int64_t frequencies_ = 64;
};

}  // namespace

std::unique_ptr<ParametrisationKind> make_frequency() {
  return std::make_unique<Kind>();
}

}  // namespace retort::synthetic
