// Primal and tangent of every layer, written with first-order tensor operations. Tangents carry a
// dot in the comments; u is the cotangent of the normalised map n.
#include "nets/sequential/dual_layers.h"

#include <array>
#include <utility>

namespace retort::nets {
namespace {

constexpr double kEpsilon = 1e-5;

at::Tensor for_convolution(const at::Tensor& x) {
  // oneDNN's channels-last convolutions take half the time for few input channels.
  const bool last = x.device().is_cpu() && x.scalar_type() == at::kFloat && x.size(1) > 1;
  return last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

/// z = w * x + b. Where a norm without running statistics follows, b has no effect and is left out.
class DualConv : public DualLayer {
 public:
  DualConv(const Op& op, DualParameters& p, bool bias_matters)
      : settings_(op.conv), slot_(op.slot), p_(p), biased_(settings_.bias && bias_matters) {}

  Dual forward(const Dual& x) override {
    x_ = {for_convolution(x.value), x.tangent.defined() ? for_convolution(x.tangent) : x.tangent};
    const at::Tensor &w = p_.theta[slot_], &wt = p_.tangent[slot_];
    at::Tensor b, bt;
    if (biased_) b = p_.theta[slot_ + 1], bt = p_.tangent[slot_ + 1];
    Dual z{convolve(x_.value, w, b), at::Tensor()};
    // w. * x + w * x. is one convolution over both maps side by side.
    z.tangent = x_.tangent.defined()
                    ? convolve(at::cat({x_.value, x_.tangent}, 1), at::cat({wt, w}, 1), bt)
                    : convolve(x_.value, wt, bt);
    return z;
  }

  Dual backward(const Dual& d_any, Below below) override {
    const Dual d{for_convolution(d_any.value), for_convolution(d_any.tangent)};
    const at::Tensor &w = p_.theta[slot_], &wt = p_.tangent[slot_];
    // dw. = corr(x, dz.) + corr(x., dz): one correlation over both batches.
    const at::Tensor dwt = x_.tangent.defined() ? pulled(at::cat({d.tangent, d.value}),
                                                         at::cat({x_.value, x_.tangent}), w, 1)
                                                : pulled(d.tangent, x_.value, w, 1);
    p_.product[slot_].copy_(dwt);
    if (biased_) p_.product[slot_ + 1].copy_(d.tangent.sum({0, 2, 3}));
    Dual dx;
    if (below == Below::kBoth) dx.value = pulled(d.value, x_.value, w, 0);
    if (below != Below::kNothing)
      dx.tangent = pulled(at::cat({d.tangent, d.value}, 1), x_.value, at::cat({w, wt}), 0);
    x_ = {};
    return dx;
  }

 private:
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) const {
    return at::conv2d(x, w, b, at::IntArrayRef{settings_.stride, settings_.stride},
                      at::IntArrayRef{settings_.padding, settings_.padding});
  }

  /// The cotangent of the input (which = 0) or of the weight (1).
  at::Tensor pulled(const at::Tensor& d, const at::Tensor& x, const at::Tensor& w,
                    int which) const {
    const std::array<int64_t, 2> stride{settings_.stride, settings_.stride},
        padding{settings_.padding, settings_.padding}, ones{1, 1}, zeros{0, 0};
    const auto found =
        at::convolution_backward(d, x, w, at::OptionalIntArrayRef(), stride, padding, ones, false,
                                 zeros, 1, {which == 0, which == 1, false});
    return which == 0 ? std::get<0>(found) : std::get<1>(found);
  }

  const Convolution settings_;
  const size_t slot_;
  DualParameters& p_;
  const bool biased_;
  Dual x_;
};

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

/// a = phi(y), a. = phi'(y) y.; backward, the tangent gains phi''(y) y. da.
class DualActivation : public DualLayer {
 public:
  explicit DualActivation(Activation kind) : kind_(kind) {}

  Dual forward(const Dual& y) override {
    at::Tensor a;
    differentiate(y.value, a);
    Dual out{a, y.tangent.defined() ? y.tangent * first_ : y.tangent};
    if (second_.defined() && y.tangent.defined()) second_.mul_(y.tangent);
    return out;
  }

  Dual backward(const Dual& d, Below) override {
    Dual dy{d.value * first_, d.tangent * first_};
    if (second_.defined()) dy.tangent.addcmul_(d.value, second_);
    first_ = second_ = at::Tensor();
    return dy;
  }

 private:
  /// phi(y), and its first two derivatives into first_ and second_ (undefined: zero).
  void differentiate(const at::Tensor& y, at::Tensor& a) {
    switch (kind_) {
      case Activation::kRelu:
        first_ = y.gt(0);
        a = y.clamp_min(0);
        break;
      case Activation::kLeaky:
        first_ = at::where(y.gt(0), at::ones({}, y.options()), at::full({}, 0.01, y.options()));
        a = y * first_;
        break;
      case Activation::kSigmoid:
        a = y.sigmoid();
        first_ = a * (1 - a);
        second_ = first_ * (1 - 2 * a);
        break;
      case Activation::kTanh:
        a = y.tanh();
        first_ = 1 - a * a;
        second_ = -2 * a * first_;
        break;
      case Activation::kSwish: {
        const at::Tensor s = y.sigmoid();
        a = y * s;
        first_ = s * (1 + y * (1 - s));
        second_ = s * (1 - s) * (2 + y * (1 - 2 * s));
        break;
      }
      case Activation::kSoftplus: {
        const at::Tensor s = y.sigmoid(), linear = y.gt(20);  // libtorch is linear from 20 on
        a = at::softplus(y);
        first_ = s.masked_fill(linear, 1);
        second_ = (s * (1 - s)).masked_fill(linear, 0);
        break;
      }
      case Activation::kNone:
        TORCH_INTERNAL_ASSERT(false, "no activation is no layer");
    }
  }

  const Activation kind_;
  at::Tensor first_, second_;
};

/// Square windows side by side. The tangent takes the primal's largest value, the first on ties.
class DualPool : public DualLayer {
 public:
  DualPool(Pool kind, int64_t window) : kind_(kind), window_(window) {}

  Dual forward(const Dual& x) override {
    const std::vector<int64_t> size{window_, window_};
    x_ = x.value;
    if (kind_ == Pool::kAverage)
      return {at::avg_pool2d(x.value, size),
              x.tangent.defined() ? at::avg_pool2d(x.tangent, size) : x.tangent};
    x_ = x.value.contiguous();
    auto [value, index] = at::max_pool2d_with_indices(x_, size);
    index_ = index;
    if (!x.tangent.defined()) return {value, at::Tensor()};
    return {value, x.tangent.contiguous().flatten(2).gather(2, index.flatten(2)).view_as(value)};
  }

  Dual backward(const Dual& d, Below) override {
    const Dual dx{pulled(d.value), pulled(d.tangent)};
    x_ = index_ = at::Tensor();
    return dx;
  }

 private:
  at::Tensor pulled(const at::Tensor& d) const {
    const std::vector<int64_t> size{window_, window_}, none{0, 0}, one{1, 1};
    if (kind_ == Pool::kAverage)
      return at::avg_pool2d_backward(d, x_, size, size, none, false, true, {});
    return at::max_pool2d_with_indices_backward(d.contiguous(), x_, size, size, none, one, false,
                                                index_);
  }

  const Pool kind_;
  const int64_t window_;
  at::Tensor x_, index_;
};

/// The mean over the whole map.
class DualGlobalAverage : public DualLayer {
 public:
  Dual forward(const Dual& x) override {
    shape_ = x.value.sizes().vec();
    return {x.value.mean({2, 3}, true),
            x.tangent.defined() ? x.tangent.mean({2, 3}, true) : x.tangent};
  }
  Dual backward(const Dual& d, Below) override {
    const double share = 1.0 / static_cast<double>(shape_[2] * shape_[3]);
    return {(d.value * share).expand(shape_), (d.tangent * share).expand(shape_)};
  }

 private:
  std::vector<int64_t> shape_;
};

/// o = W f + c; a map is flattened first.
class DualLinear : public DualLayer {
 public:
  DualLinear(size_t slot, DualParameters& p) : slot_(slot), p_(p) {}

  Dual forward(const Dual& f) override {
    shape_ = f.value.sizes().vec();
    f_ = {f.value.flatten(1), f.tangent.defined() ? f.tangent.flatten(1) : f.tangent};
    const at::Tensor &w = p_.theta[slot_], &wt = p_.tangent[slot_];
    Dual o{at::linear(f_.value, w, p_.theta[slot_ + 1]),
           at::linear(f_.value, wt, p_.tangent[slot_ + 1])};
    if (f_.tangent.defined()) o.tangent.addmm_(f_.tangent, w.t());
    return o;
  }

  Dual backward(const Dual& d, Below below) override {
    const at::Tensor &w = p_.theta[slot_], &wt = p_.tangent[slot_];
    at::mm_out(p_.product[slot_], d.tangent.t(), f_.value);
    if (f_.tangent.defined()) p_.product[slot_].addmm_(d.value.t(), f_.tangent);
    p_.product[slot_ + 1].copy_(d.tangent.sum(0));
    Dual df;
    if (below == Below::kBoth) df.value = d.value.mm(w).view(shape_);
    if (below != Below::kNothing) df.tangent = at::addmm(d.tangent.mm(w), d.value, wt).view(shape_);
    f_ = {};
    return df;
  }

 private:
  const size_t slot_;
  DualParameters& p_;
  std::vector<int64_t> shape_;
  Dual f_;
};

/// True where the set that is normalised has one bias only: adding to it changes nothing.
bool voids_bias(const Op& next, NormMode mode) {
  if (next.kind != Op::Kind::kNormActPool) return false;
  return next.layer.norm == NormKind::kInstance ||
         (next.layer.norm == NormKind::kBatch && mode != NormMode::kFrozen);
}

}  // namespace

std::vector<std::unique_ptr<DualLayer>> dual_layers(const std::vector<Op>& ops, DualParameters& p) {
  std::vector<std::unique_ptr<DualLayer>> layers;
  size_t statistics = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    const NormActPool& layer = op.layer;
    switch (op.kind) {
      case Op::Kind::kConv: {
        const bool voided = i + 1 < ops.size() && voids_bias(ops[i + 1], p.norm);
        layers.push_back(std::make_unique<DualConv>(op, p, !voided));
        break;
      }
      case Op::Kind::kNormActPool:
        if (layer.norm != NormKind::kNone)
          layers.push_back(std::make_unique<DualNorm>(layer.norm, op.slot, p, statistics));
        if (layer.norm == NormKind::kBatch) statistics += 2;
        if (layer.activation != Activation::kNone)
          layers.push_back(std::make_unique<DualActivation>(layer.activation));
        if (layer.pool != Pool::kNone) layers.push_back(std::make_unique<DualPool>(layer.pool, 2));
        break;
      case Op::Kind::kPool:
        if (layer.pool != Pool::kNone)
          layers.push_back(std::make_unique<DualPool>(layer.pool, op.window));
        break;
      case Op::Kind::kGlobalAverage:
        layers.push_back(std::make_unique<DualGlobalAverage>());
        break;
      case Op::Kind::kLinear:
        layers.push_back(std::make_unique<DualLinear>(op.slot, p));
        break;
    }
  }
  return layers;
}

}  // namespace retort::nets
