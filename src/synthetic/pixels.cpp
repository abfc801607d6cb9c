#include "synthetic/pixels.h"

namespace retort::synthetic {

Pixels::Pixels(const Geometry& geometry, at::Device device)
    : geometry_(geometry),
      images_(at::zeros({geometry.size(), geometry.channels, geometry.height, geometry.width},
                        at::TensorOptions().dtype(at::kFloat).device(device))) {}

void Pixels::initialise(const at::Tensor& images) {
  TORCH_CHECK(images.sizes() == images_.sizes(), "images of shape ", images.sizes(),
              " cannot initialise pixels of shape ", images_.sizes());
  images_.copy_(images.detach());
}

std::vector<at::Tensor> Pixels::pullback(const at::Tensor& cotangents) const {
  TORCH_CHECK(cotangents.sizes() == images_.sizes(), "cotangents of shape ", cotangents.sizes(),
              " for images of shape ", images_.sizes());
  return {cotangents};
}

}  // namespace retort::synthetic
