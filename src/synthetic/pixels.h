// The simplest parametrisation: every pixel of every image is a parameter.
#pragma once

#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {

class Pixels : public Parametrisation {
 public:
  Pixels(const Geometry& geometry, at::Device device);
  std::string name() const override { return "pixels"; }
  const Geometry& geometry() const override { return geometry_; }
  void initialise(const at::Tensor& images) override;
  at::Tensor decode() const override { return images_.detach().clone(); }
  std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const override;
  std::vector<ParameterGroup> parameters() override { return {{"images", images_, 1.0}}; }
  int64_t storage_bytes() const override { return static_cast<int64_t>(images_.nbytes()); }

 private:
  Geometry geometry_;
  at::Tensor images_;  // [M, C, H, W]
};

}  // namespace retort::synthetic
