// GSAM (Zhuang et al., ICLR 2022) as the code of FTD (Du et al., CVPR 2023) has it, with its
// adaptive perturbation on by default and rho constant, as the learning rate is. Norms are over all
// parameters jointly. Deviation: theta itself is kept, where the reference adds and takes away e.
#include "train/gsam.h"

namespace retort::train {
namespace {

constexpr double kTiny = 1e-12;

}  // namespace

at::Tensor ascent_point(const at::Tensor& theta, const at::Tensor& gradient, const Gsam& flat) {
  // e = rho theta^2 g / || |theta| g ||, or rho g / || g ||
  const at::Tensor scaled = flat.adaptive ? theta * gradient : gradient;
  const at::Tensor along = flat.adaptive ? theta * scaled : gradient;
  return theta + along * (flat.rho / (scaled.norm() + kTiny));
}

at::Tensor gsam_direction(const at::Tensor& gradient, const at::Tensor& nearby, const Gsam& flat) {
  // d = g' - alpha g_o, where g_o is what remains of g across g'
  const at::Tensor size = gradient.norm(), nearby_size = nearby.norm();
  const at::Tensor cosine = gradient.mul(nearby).sum() / (size * nearby_size + kTiny);
  const at::Tensor across = gradient - nearby * (cosine * size / (nearby_size + kTiny));
  return nearby - flat.alpha * across;
}

}  // namespace retort::train
