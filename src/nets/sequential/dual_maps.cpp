// Layers without parameters, with first-order tensor operations. Tangents carry a dot in the
// comments.
#include "nets/max_windows.h"
#include "nets/sequential/dual_kinds.h"

namespace retort::nets {
namespace {

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
    if (!x_.is_cpu()) return forward_by_mask(x);
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
  Dual forward_by_mask(const Dual& x) {
    index_ = largest_in_windows(x.value, window_);
    return {take_from_windows(x.value, index_, window_),
            x.tangent.defined() ? take_from_windows(x.tangent, index_, window_) : x.tangent};
  }

  at::Tensor pulled(const at::Tensor& d) const {
    const std::vector<int64_t> size{window_, window_}, none{0, 0}, one{1, 1};
    if (kind_ == Pool::kAverage)
      return at::avg_pool2d_backward(d, x_, size, size, none, false, true, {});
    if (!x_.is_cpu()) return put_into_windows(d, index_, window_, x_);
    return at::max_pool2d_with_indices_backward(d.contiguous(), x_, size, size, none, one, false,
                                                index_);
  }

  const Pool kind_;
  const int64_t window_;
  at::Tensor x_, index_;  // of the largest: places, or a mask of each window
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

}  // namespace

std::unique_ptr<DualLayer> dual_activation(Activation kind) {
  return std::make_unique<DualActivation>(kind);
}

std::unique_ptr<DualLayer> dual_pool(Pool kind, int64_t window) {
  return std::make_unique<DualPool>(kind, window);
}

std::unique_ptr<DualLayer> dual_global_average() {
  return std::make_unique<DualGlobalAverage>();
}

}  // namespace retort::nets
