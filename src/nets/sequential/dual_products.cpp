// Layers that multiply by weights, with first-order tensor operations. Tangents carry a dot in the
// comments.
#include "nets/sequential/dual_kinds.h"

#include <array>

namespace retort::nets {
namespace {

at::Tensor for_convolution(const at::Tensor& x) {
  // oneDNN's channels-last convolutions take half the time for few input channels.
  const bool last = x.device().is_cpu() && x.scalar_type() == at::kFloat && x.size(1) > 1;
  return last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

/// z = w * x + b. Where a norm without running statistics follows, b has no effect and is left out.
class DualConv : public DualLayer {
 public:
  DualConv(const Op& op, DualParameters& p, bool biased)
      : settings_(op.conv), slot_(op.slot), p_(p), biased_(settings_.bias && biased) {}

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

}  // namespace

std::unique_ptr<DualLayer> dual_conv(const Op& op, DualParameters& p, bool biased) {
  return std::make_unique<DualConv>(op, p, biased);
}

std::unique_ptr<DualLayer> dual_linear(size_t slot, DualParameters& p) {
  return std::make_unique<DualLinear>(slot, p);
}

}  // namespace retort::nets
