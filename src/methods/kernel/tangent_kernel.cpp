// A dense layer takes a covariance S to 2 S + 0.01 and a tangent kernel T to 2 T + the new S. ReLU
// takes S at an angle t and of norms |a| |b| to |a| |b| / 2 pi (sin t + (pi - t) cos t), and T to
// T (pi - t) / 2 pi (Cho and Saul, NeurIPS 2009).
#include "methods/kernel/tangent_kernel.h"

#include <numbers>

namespace retort::methods {
namespace {

constexpr double kWeights = 2, kBiases = 0.01;
constexpr double kAligned = 1 - 1e-12;  // cosines above differ from 1 by rounding

at::Tensor dense(const at::Tensor& covariance) {
  return kWeights * covariance + kBiases;
}

/// The angle, a constant where it is 0 or pi: its derivative has no limit there.
at::Tensor angle_of(const at::Tensor& cosine) {
  const at::Tensor apart = cosine.detach().abs() < kAligned;
  const at::Tensor straight = cosine.detach().lt(0).to(at::kDouble) * std::numbers::pi;
  return at::where(apart, at::acos(at::where(apart, cosine, at::zeros_like(cosine))), straight);
}

}  // namespace

at::Tensor tangent_kernel(const at::Tensor& a, const at::Tensor& b, int64_t depth) {
  constexpr double kPi = std::numbers::pi;
  const auto pixels = static_cast<double>(a.size(1));
  at::Tensor own_a = dense(a.square().sum(1, true) / pixels);
  at::Tensor own_b = dense(b.square().sum(1) / pixels);
  at::Tensor covariance = dense(a.mm(b.t()) / pixels), tangent = covariance;
  for (int64_t layer = 0; layer < depth; ++layer) {
    const at::Tensor norms = (own_a * own_b).sqrt();
    const at::Tensor cosine = covariance / norms;
    const at::Tensor angle = angle_of(cosine);
    covariance = dense(norms / (2 * kPi) * (angle.sin() + (kPi - angle) * cosine));
    tangent = kWeights * tangent * (kPi - angle) / (2 * kPi) + covariance;
    own_a = dense(own_a / 2);
    own_b = dense(own_b / 2);
  }
  return tangent;
}

}  // namespace retort::methods
