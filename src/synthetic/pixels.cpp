#include "synthetic/pixels.h"

namespace retort::synthetic {
namespace {

class Pixels : public Parametrisation {
 public:
  explicit Pixels(const ParametrisationInput& input)
      : layout_(input.budget),
        images_(at::zeros({layout_.size(), layout_.channels, layout_.height, layout_.width},
                          at::TensorOptions().dtype(input.type).device(input.device))) {
    if (!input.clamp) return;
    lowest_ = input.lowest.to(images_);
    highest_ = input.highest.to(images_);
  }

  const SetLayout& layout() const override { return layout_; }
  void initialise(const at::Tensor& images) override {
    TORCH_CHECK(images.sizes() == images_.sizes(), "images of shape ", images.sizes(),
                " cannot initialise pixels of shape ", images_.sizes());
    images_.copy_(images.detach());
  }
  at::Tensor decode() const override { return images_.detach().clone(); }
  std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const override {
    TORCH_CHECK(cotangents.sizes() == images_.sizes(), "cotangents of shape ", cotangents.sizes(),
                " for images of shape ", images_.sizes());
    return {cotangents};
  }
  std::vector<ParameterGroup> parameters() override { return {{"images", images_, 1.0}}; }
  void project() override {
    if (lowest_.defined()) images_.copy_(at::clamp(images_, lowest_, highest_));
  }
  TensorMap compact() const override { return {{"images", images_}}; }

 private:
  SetLayout layout_;
  at::Tensor images_;            // [M, C, H, W]
  at::Tensor lowest_, highest_;  // [1, C, 1, 1], or undefined
};

class Kind : public ParametrisationKind {
 public:
  std::unique_ptr<Parametrisation> make(const ParametrisationInput& input) const override {
    return std::make_unique<Pixels>(input);
  }
};

}  // namespace

std::unique_ptr<ParametrisationKind> make_pixels() {
  return std::make_unique<Kind>();
}

}  // namespace retort::synthetic
