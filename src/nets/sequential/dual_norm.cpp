// Norms with first-order tensor operations. Tangents carry a dot in the comments; u is the
// cotangent of the normalised map n.
#include "nets/sequential/dual_kinds.h"

namespace retort::nets {
namespace {

constexpr double kEpsilon = 1e-5;

/// n = (z - mean z) s, s = (mean (z - mean z)^2 + eps)^(-1/2), y = g n + h, means over the norm's
/// own set of values.
class DualNorm : public DualLayer {
 public:
  DualNorm(NormKind kind, size_t slot, DualParameters& p, size_t state)
      : kind_(kind), slot_(slot), p_(p), state_(state) {
    frozen_ = kind == NormKind::kBatch && p.norm == NormMode::kFrozen;
  }

  Dual forward(const Dual& z_any) override {
    const Dual z{viewed(z_any.value), viewed(z_any.tangent)};
    normalise(z);
    const at::Tensor g = affine(p_.theta[slot_]), h = affine(p_.theta[slot_ + 1]);
    const at::Tensor gt = affine(p_.tangent[slot_]), ht = affine(p_.tangent[slot_ + 1]);
    const at::IntArrayRef shape = z_any.value.sizes();
    return {at::addcmul(h, g, n_.value).reshape(shape),
            at::addcmul(ht, g, n_.tangent).addcmul_(gt, n_.value).reshape(shape)};
  }

  Dual backward(const Dual& d_any, Below) override {
    const Dual d{viewed(d_any.value), viewed(d_any.tangent)};
    p_.product[slot_].copy_(
        to_affine(at::mul(d.tangent, n_.value).addcmul_(d.value, n_.tangent), slot_));
    p_.product[slot_ + 1].copy_(to_affine(d.tangent, slot_ + 1));
    const at::Tensor g = affine(p_.theta[slot_]), gt = affine(p_.tangent[slot_]);
    const at::Tensor u = g * d.value;
    const at::Tensor ut = at::mul(g, d.tangent).addcmul_(gt, d.value);
    const at::IntArrayRef shape = d_any.value.sizes();
    if (frozen_) return {(scale_ * u).reshape(shape), (scale_ * ut).reshape(shape)};
    const at::Tensor r = mean(u * n_.value);
    const at::Tensor rt = mean(at::mul(ut, n_.value).addcmul_(u, n_.tangent));
    const at::Tensor p = (u - mean(u)).addcmul_(n_.value, r, -1);
    const at::Tensor pt = (ut - mean(ut)).addcmul_(n_.value, rt, -1).addcmul_(n_.tangent, r, -1);
    const Dual dz{(scale_ * p).reshape(shape),
                  at::mul(pt, scale_).addcmul_(p, scale_t_).reshape(shape)};
    n_ = {};
    return dz;
  }

 private:
  void normalise(const Dual& z) {
    if (frozen_) {
      scale_ = (affine(p_.state[state_ + 1]) + kEpsilon).rsqrt();
      n_ = {(z.value - affine(p_.state[state_])) * scale_, z.tangent * scale_};
      return;
    }
    n_ = {z.value - mean(z.value), z.tangent - mean(z.tangent)};
    scale_ = (mean(n_.value.square()) + kEpsilon).rsqrt();
    n_.value.mul_(scale_);
    const at::Tensor r = mean(n_.value * n_.tangent);
    n_.tangent.addcmul_(n_.value, r, -1).mul_(scale_);
    scale_t_ = scale_.square().mul_(r).neg_();
  }

  /// [N, C, H, W], or [N, 4, C / 4, H, W] for groups.
  at::Tensor viewed(const at::Tensor& x) const {
    if (kind_ != NormKind::kGroup) return x;
    return x.reshape({x.size(0), 4, x.size(1) / 4, x.size(2), x.size(3)});
  }

  at::Tensor mean(const at::Tensor& x) const {
    switch (kind_) {
      case NormKind::kBatch:
        return x.mean({0, 2, 3}, true);
      case NormKind::kLayer:
        return x.mean({1, 2, 3}, true);
      case NormKind::kGroup:
        return x.mean({2, 3, 4}, true);
      default:
        return x.mean({2, 3}, true);
    }
  }

  /// A parameter so that it meets a viewed map.
  at::Tensor affine(const at::Tensor& parameter) const {
    if (kind_ == NormKind::kLayer) return parameter.unsqueeze(0);
    if (kind_ == NormKind::kGroup) return parameter.reshape({1, 4, -1, 1, 1});
    return parameter.reshape({1, -1, 1, 1});
  }

  /// The sum of a viewed map to the shape of a parameter.
  at::Tensor to_affine(const at::Tensor& x, size_t slot) const {
    if (kind_ == NormKind::kLayer) return x.sum(0);
    if (kind_ == NormKind::kGroup) return x.sum({0, 3, 4}).reshape(p_.theta[slot].sizes());
    return x.sum({0, 2, 3});
  }

  const NormKind kind_;
  const size_t slot_;
  DualParameters& p_;
  const size_t state_;
  bool frozen_ = false;
  Dual n_;
  at::Tensor scale_, scale_t_;  // s and s.
};

}  // namespace

std::unique_ptr<DualLayer> dual_norm(NormKind kind, size_t slot, DualParameters& p, size_t state) {
  return std::make_unique<DualNorm>(kind, slot, p, state);
}

}  // namespace retort::nets
