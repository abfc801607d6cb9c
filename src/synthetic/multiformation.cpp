#include "synthetic/multiformation.h"

#include <fmt/format.h>

#include "retort/core/error.h"
#include "synthetic/separable.h"

namespace retort::synthetic {
namespace {

class Multiformation : public Parametrisation {
 public:
  Multiformation(const ParametrisationInput& input, int64_t factor)
      : factor_(factor), layout_(input.budget) {
    const int64_t height = layout_.height, width = layout_.width;
    const auto kind = at::TensorOptions().dtype(input.type).device(input.device);
    mosaics_ = at::zeros({layout_.size(), layout_.channels, height, width}, kind);
    for (int64_t& count : layout_.counts) count *= factor * factor;
    cell_ = {(height + factor - 1) / factor, (width + factor - 1) / factor};
    enlarging_ = interpolation(cell_, {height, width}, kind);
    shrinking_ = interpolation({height, width}, cell_, kind);
    filling_ = at::zeros({1, layout_.channels, 1, 1}, kind);
    if (!input.lowest.defined()) return;
    lowest_ = input.lowest.to(kind);
    highest_ = input.highest.to(kind);
    filling_ = (lowest_ + highest_) / 2;  // pixels of 0.5
  }

  const SetLayout& layout() const override { return layout_; }
  /// "mix": every cell begins with another image.
  void initialise(const at::Tensor& images) override {
    TORCH_CHECK(images.size(0) == layout_.size(), images.size(0), " images cannot initialise ",
                layout_.size());
    mosaics_.copy_(lay(shrinking_.apply(images.detach().to(mosaics_))));
    project();
  }
  at::Tensor decode() const override { return enlarging_.apply(cut()); }
  std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const override {
    return {lay(enlarging_.adjoint(cotangents)).contiguous()};
  }
  std::vector<ParameterGroup> parameters() override {
    // Enlarging by f in two directions has the operator norm f: with its inverse square a mosaic
    // moves as far as the same picture stored pixel by pixel.
    return {{"mosaics", mosaics_, 1.0 / static_cast<double>(factor_ * factor_)}};
  }
  void project() override {
    if (lowest_.defined()) mosaics_.copy_(at::clamp(mosaics_, lowest_, highest_));
  }
  TensorMap compact() const override { return {{"mosaics", mosaics_}}; }

 private:
  // IDC orders images by cell: the first cell of all mosaics, then the second. Here the cells of a
  // mosaic stand together, so that images stay class after class.

  /// The cells of all mosaics, [M f^2, C, cell].
  at::Tensor cut() const {
    const int64_t count = mosaics_.size(0), channels = layout_.channels;
    at::Tensor whole =
        filling_.expand({count, channels, factor_ * cell_[0], factor_ * cell_[1]}).clone();
    whole.slice(2, 0, layout_.height).slice(3, 0, layout_.width).copy_(mosaics_);
    return whole.view({count, channels, factor_, cell_[0], factor_, cell_[1]})
        .permute({0, 2, 4, 1, 3, 5})
        .reshape({-1, channels, cell_[0], cell_[1]});
  }
  /// The adjoint of the linear part of cut(): [M, C, H, W].
  at::Tensor lay(const at::Tensor& cells) const {
    return cells.view({-1, factor_, factor_, layout_.channels, cell_[0], cell_[1]})
        .permute({0, 3, 1, 4, 2, 5})
        .reshape({-1, layout_.channels, factor_ * cell_[0], factor_ * cell_[1]})
        .slice(2, 0, layout_.height)
        .slice(3, 0, layout_.width);
  }

  const int64_t factor_;
  SetLayout layout_;
  at::Tensor lowest_, highest_;  // [1, C, 1, 1], or undefined
  at::Tensor filling_;           // of what the sides lack, [1, C, 1, 1]
  at::Tensor mosaics_;           // [M, C, H, W]
  std::vector<int64_t> cell_;    // height and width of a cell
  Separable enlarging_, shrinking_;
};

class Kind : public ParametrisationKind {
 public:
  void declare(OptionSet& set) override {
    set.add("factor", factor_, "a stored image is a mosaic of this many by this many smaller ones",
            {.min = 1});
  }
  std::unique_ptr<Parametrisation> make(const ParametrisationInput& input) const override {
    const int64_t side = std::min(input.budget.height, input.budget.width);
    // Every cell must begin within the image; a factor of any size must not overflow.
    if (factor_ > side || (factor_ - 1) * ((side + factor_ - 1) / factor_) >= side)
      throw ConfigError(
          ErrorMessage{"preparing multiformation",
                       fmt::format("images with a side of {} cannot be cut into {} times {} cells",
                                   side, factor_, factor_),
                       {},
                       "lower --factor"});
    return std::make_unique<Multiformation>(input, factor_);
  }

 private:
  int64_t factor_ = 2;
};

}  // namespace

std::unique_ptr<ParametrisationKind> make_multiformation() {
  return std::make_unique<Kind>();
}

}  // namespace retort::synthetic
