// Two passes over a map that lies in cache: sums, then values. Highway compiles this file once for
// every instruction set and chooses when the program runs. No torch here.
// x is z less its mean, s the inverse deviation.
#include "nets/blocked/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/blocked/kernels.cpp"
#include <hwy/foreach_target.h>

#include "nets/blocked/cells_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Leaves mean and inverse deviation. Values are taken less the first one: a mean far from zero
/// does not swallow the variance.
template <class D>
HWY_INLINE void measure(D d, const BlockMap& map, const float* z, const BlockMoments& moments) {
  const auto first = hn::Load(d, z);
  hn::Vec<D> sum[kCell] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  hn::Vec<D> square[kCell] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  const int64_t size = map.height * map.width * map.block;
  for (int64_t i = 0; i < size; i += kCell * map.block)
    for (int64_t k = 0; k < kCell; ++k) {
      const auto x = hn::Sub(hn::Load(d, z + i + k * map.block), first);
      sum[k] = hn::Add(sum[k], x);
      square[k] = hn::MulAdd(x, x, square[k]);
    }
  const auto share = share_of_one(d, map);
  const auto away = hn::Mul(total(sum), share), power = hn::Mul(total(square), share);
  hn::Store(hn::Add(first, away), d, moments.mean);
  hn::Store(inverse_deviation(d, hn::NegMulAdd(away, away, power)), d, moments.rstd);
}

template <class D>
HWY_INLINE void forward(D d, const BlockMap& map, const float* z, const BlockAffine& affine,
                        float* out, const BlockMoments& moments) {
  measure(d, map, z, moments);
  const Norm<D> norm(d, affine, moments);
  const auto corner = corners(map);
  const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
  each_cell(map, [&](int64_t at, int64_t to) HWY_ATTR {
    const auto y = [&](size_t k) HWY_ATTR {  // in this order, NaN stays NaN
      return hn::Max(zero, norm.y(norm.x(d, z + at + corner[k])));
    };
    const auto sum = hn::Add(hn::Add(y(0), y(1)), hn::Add(y(2), y(3)));
    hn::Store(hn::Mul(sum, quarter), d, out + to);
  });
}

/// Sums over the map of dy and of dy x, where dy is a quarter of the output's cotangent.
template <class D>
struct CotangentSums {
  hn::Vec<D> dy, dy_x;
};

template <class D>
HWY_INLINE CotangentSums<D> cotangent_sums(D d, const BlockMap& map, const float* z,
                                           const float* dout, const Norm<D>& norm) {
  const auto corner = corners(map);
  const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
  CotangentSums<D> sums{zero, zero};
  each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
    const auto dy = hn::Mul(hn::Load(d, dout + from), quarter);
    auto kept = zero, kept_x = zero;
    for (const int64_t place : corner) {
      const auto x = norm.x(d, z + at + place);
      const auto own = hn::IfThenElseZero(hn::Gt(norm.y(x), zero), dy);
      kept = hn::Add(kept, own);
      kept_x = hn::MulAdd(own, x, kept_x);
    }
    sums.dy = hn::Add(sums.dy, kept);
    sums.dy_x = hn::Add(sums.dy_x, kept_x);
  });
  return sums;
}

template <class D>
HWY_INLINE void backward(D d, const BlockMap& map, const float* z, const float* dout,
                         const Norm<D>& norm, const BlockAffineSums& into, float* dz) {
  const auto [sum, product] = cotangent_sums(d, map, z, dout, norm);
  hn::StoreU(hn::MulAdd(norm.rstd, product, hn::LoadU(d, into.gain)), d, into.gain);
  hn::StoreU(hn::Add(sum, hn::LoadU(d, into.shift)), d, into.shift);
  // dz = g s (dy - mean(dy) - x s^2 mean(dy x))
  const auto share = share_of_one(d, map), square = hn::Mul(norm.rstd, norm.rstd);
  const auto level = hn::Mul(norm.scale, hn::Mul(sum, share));
  const auto slope = hn::Mul(hn::Mul(norm.scale, square), hn::Mul(product, share));
  const auto corner = corners(map);
  const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
  each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
    const auto dy = hn::Mul(norm.scale, hn::Mul(hn::Load(d, dout + from), quarter));
    for (const int64_t place : corner) {
      const auto x = norm.x(d, z + at + place);
      const auto own = hn::IfThenElseZero(hn::Gt(norm.y(x), zero), dy);
      hn::Store(hn::Sub(hn::NegMulAdd(slope, x, own), level), d, dz + at + place);
    }
  });
}

void Forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
             const BlockMoments& moments) {
  each_vector(map, [&](auto d, int64_t c)
                       HWY_ATTR { forward(d, map, z + c, affine.at(c), out + c, moments.at(c)); });
}

void Backward(const BlockMap& map, const float* z, const float* dout, const BlockAffine& affine,
              const BlockMoments& moments, const BlockAffineSums& into, float* dz) {
  each_vector(map, [&](auto d, int64_t c) HWY_ATTR {
    backward(d, map, z + c, dout + c, Norm(d, affine.at(c), moments.at(c)), into.at(c), dz + c);
  });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void block_forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
                   const BlockMoments& moments) {
  HWY_DYNAMIC_DISPATCH(Forward)(map, z, affine, out, moments);
}

void block_backward(const BlockMap& map, const float* z, const float* dout,
                    const BlockAffine& affine, const BlockMoments& moments,
                    const BlockAffineSums& into, float* dz) {
  HWY_DYNAMIC_DISPATCH(Backward)(map, z, dout, affine, moments, into, dz);
}

}  // namespace retort::nets
#endif
