// The kernels along a direction: sums, then values, of maps and their tangents. Highway compiles
// this file once for every instruction set and chooses when the program runs. No torch here.
// x is z less its mean, s the inverse deviation, n = s x, r = mean(n c.); a dot is a derivative
// along the direction, n. = s x. - s^2 r x, s. = -s^2 r.
#include "nets/blocked/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/blocked/tangent_kernels.cpp"
#include <hwy/foreach_target.h>

#include "nets/blocked/cells_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// A norm with what its tangent needs.
template <class D>
struct TangentNorm : Norm<D> {
  using V = hn::Vec<D>;
  V mean_tangent, r, gain_tangent;

  HWY_INLINE TangentNorm(D d, const BlockAffine& affine, const BlockMoments& moments)
      : Norm<D>(d, affine, moments),
        mean_tangent(hn::Load(d, moments.mean_tangent)),
        r(hn::Load(d, moments.covariance)),
        gain_tangent(hn::LoadU(d, affine.gain_tangent)) {}
  HWY_INLINE V xt(D d, const float* tangent) const {
    return hn::Sub(hn::Load(d, tangent), mean_tangent);
  }
};

/// Leaves the moments' tangents. The mean of x is zero, so that c. need not be centred.
template <class D>
HWY_INLINE void measure(D d, const BlockMap& map, const BlockDual& z, const BlockMoments& moments) {
  const auto mean = hn::Load(d, moments.mean), zero = hn::Zero(d);
  hn::Vec<D> sum[kCell] = {zero, zero, zero, zero}, product[kCell] = {zero, zero, zero, zero};
  const int64_t size = map.height * map.width * map.block;
  for (int64_t i = 0; i < size; i += kCell * map.block)
    for (int64_t k = 0; k < kCell; ++k) {
      const auto t = hn::Load(d, z.tangent + i + k * map.block);
      const auto x = hn::Sub(hn::Load(d, z.value + i + k * map.block), mean);
      sum[k] = hn::Add(sum[k], t);
      product[k] = hn::MulAdd(x, t, product[k]);
    }
  const auto share = share_of_one(d, map);
  hn::Store(hn::Mul(total(sum), share), d, moments.mean_tangent);
  hn::Store(hn::Mul(hn::Load(d, moments.rstd), hn::Mul(total(product), share)), d,
            moments.covariance);
}

template <class D>
HWY_INLINE void forward_tangent(D d, const BlockMap& map, const BlockDual& z,
                                const BlockAffine& affine, float* out,
                                const BlockMoments& moments) {
  measure(d, map, z, moments);
  const TangentNorm<D> norm(d, affine, moments);
  const auto shift_t = hn::LoadU(d, affine.shift_tangent);
  // y = g s x + h;  y. = (g. - g s r) s x + g s x. + h.
  const auto slope = hn::Mul(hn::NegMulAdd(norm.scale, norm.r, norm.gain_tangent), norm.rstd);
  const auto corner = corners(map);
  const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
  each_cell(map, [&](int64_t at, int64_t to) HWY_ATTR {
    auto sum = zero;
    for (const int64_t place : corner) {
      const auto x = norm.x(d, z.value + at + place);
      const auto xt = norm.xt(d, z.tangent + at + place);
      const auto yt = hn::MulAdd(slope, x, hn::MulAdd(norm.scale, xt, shift_t));
      sum = hn::Add(sum, hn::IfThenElseZero(hn::Gt(norm.y(x), zero), yt));
    }
    hn::Store(hn::Mul(sum, quarter), d, out + to);
  });
}

/// Calls visit(place, x, x., dy, dy.) for every value; the cotangents are zero where ReLU is.
template <class D, class Visit>
HWY_INLINE void each_value(D d, const BlockMap& map, const BlockDual& z, const BlockDual& dout,
                           const TangentNorm<D>& norm, const Visit& visit) {
  const auto corner = corners(map);
  const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
  each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
    const auto dy = hn::Mul(hn::Load(d, dout.value + from), quarter);
    const auto dyt = hn::Mul(hn::Load(d, dout.tangent + from), quarter);
    for (const int64_t corner_at : corner) {
      const int64_t place = at + corner_at;
      const auto x = norm.x(d, z.value + place), xt = norm.xt(d, z.tangent + place);
      const auto mask = hn::Gt(norm.y(x), zero);
      visit(place, x, xt, hn::IfThenElseZero(mask, dy), hn::IfThenElseZero(mask, dyt));
    }
  });
}

/// Sums over the map.
template <class D>
struct TangentSums {
  hn::Vec<D> dy, dy_x, dyt, dyt_x, dy_xt;
};

template <class D>
HWY_INLINE TangentSums<D> tangent_sums(D d, const BlockMap& map, const BlockDual& z,
                                       const BlockDual& dout, const TangentNorm<D>& norm) {
  auto s1 = hn::Zero(d), s2 = s1, s3 = s1, s4 = s1, s5 = s1;
  each_value(d, map, z, dout, norm, [&](int64_t, auto x, auto xt, auto dy, auto dyt) HWY_ATTR {
    s1 = hn::Add(s1, dy);
    s2 = hn::MulAdd(dy, x, s2);
    s3 = hn::Add(s3, dyt);
    s4 = hn::MulAdd(dyt, x, s4);
    s5 = hn::MulAdd(dy, xt, s5);
  });
  return {s1, s2, s3, s4, s5};
}

/// dz = scale dy - b x - e;  dz. = scale dy. + f dy + h x - b x. + j
template <class D>
struct WayBack {
  hn::Vec<D> b, e, f, h, j;
};

template <class D>
HWY_INLINE WayBack<D> way_back(D d, const BlockMap& map, const TangentNorm<D>& norm,
                               const TangentSums<D>& sums) {
  const auto share = share_of_one(d, map);
  const auto &gain = norm.gain, &gain_t = norm.gain_tangent, &rstd = norm.rstd, &r = norm.r;
  const auto square = hn::Mul(rstd, rstd);
  // u = g dy, u. = g. dy + g dy.; m1 = mean(u n), m2 = mean(u. n), m3 = mean(u n.)
  const auto mean_u = hn::Mul(hn::Mul(gain, sums.dy), share);
  const auto mean_ut = hn::Mul(hn::MulAdd(gain_t, sums.dy, hn::Mul(gain, sums.dyt)), share);
  const auto m1 = hn::Mul(hn::Mul(norm.scale, sums.dy_x), share);
  const auto m2 =
      hn::Mul(hn::Mul(rstd, hn::MulAdd(gain_t, sums.dy_x, hn::Mul(gain, sums.dyt_x))), share);
  const auto m3 = hn::Mul(
      hn::Mul(gain, hn::NegMulAdd(hn::Mul(square, r), sums.dy_x, hn::Mul(rstd, sums.dy_xt))),
      share);
  const auto s_tangent = hn::Neg(hn::Mul(square, r));
  const auto twice = hn::Mul(hn::Set(d, 2.0f), hn::Mul(square, rstd));
  return {hn::Mul(square, m1), hn::Mul(rstd, mean_u),
          hn::MulAdd(s_tangent, gain, hn::Mul(rstd, gain_t)),
          hn::Sub(hn::Mul(twice, hn::Mul(r, m1)), hn::Mul(square, hn::Add(m2, m3))),
          hn::Neg(hn::MulAdd(s_tangent, mean_u, hn::Mul(rstd, mean_ut)))};
}

template <class D>
HWY_INLINE void backward_tangent(D d, const BlockMap& map, const BlockDual& z,
                                 const BlockDual& dout, const TangentNorm<D>& norm,
                                 const BlockAffineSums& into, const BlockDualPlace& to) {
  const TangentSums<D> sums = tangent_sums(d, map, z, dout, norm);
  // dg. = s sum(dy. x) + s sum(dy x.) - s^2 r sum(dy x);  dh. = sum(dy.)
  const auto dgain = hn::NegMulAdd(hn::Mul(hn::Mul(norm.rstd, norm.rstd), norm.r), sums.dy_x,
                                   hn::Mul(norm.rstd, hn::Add(sums.dyt_x, sums.dy_xt)));
  hn::StoreU(hn::Add(dgain, hn::LoadU(d, into.gain)), d, into.gain);
  hn::StoreU(hn::Add(sums.dyt, hn::LoadU(d, into.shift)), d, into.shift);
  const auto [b, e, f, h, j] = way_back(d, map, norm, sums);
  each_value(d, map, z, dout, norm,
             [&](int64_t place, auto x, auto xt, auto dy, auto dyt) HWY_ATTR {
               const auto dz = hn::Sub(hn::NegMulAdd(b, x, hn::Mul(norm.scale, dy)), e);
               const auto dzt = hn::Add(hn::MulAdd(norm.scale, dyt, hn::MulAdd(f, dy, j)),
                                        hn::NegMulAdd(b, xt, hn::Mul(h, x)));
               hn::Store(dz, d, to.value + place);
               hn::Store(dzt, d, to.tangent + place);
             });
}

void ForwardTangent(const BlockMap& map, const BlockDual& z, const BlockAffine& affine, float* out,
                    const BlockMoments& moments) {
  each_vector(map, [&](auto d, int64_t c) HWY_ATTR {
    forward_tangent(d, map, z.at(c), affine.at(c), out + c, moments.at(c));
  });
}

void BackwardTangent(const BlockMap& map, const BlockDual& z, const BlockDual& dout,
                     const BlockAffine& affine, const BlockMoments& moments,
                     const BlockAffineSums& into, const BlockDualPlace& dz) {
  each_vector(map, [&](auto d, int64_t c) HWY_ATTR {
    backward_tangent(d, map, z.at(c), dout.at(c), TangentNorm(d, affine.at(c), moments.at(c)),
                     into.at(c), dz.at(c));
  });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(ForwardTangent);
HWY_EXPORT(BackwardTangent);

void block_forward_tangent(const BlockMap& map, const BlockDual& z, const BlockAffine& affine,
                           float* out, const BlockMoments& moments) {
  HWY_DYNAMIC_DISPATCH(ForwardTangent)(map, z, affine, out, moments);
}

void block_backward_tangent(const BlockMap& map, const BlockDual& z, const BlockDual& dout,
                            const BlockAffine& affine, const BlockMoments& moments,
                            const BlockAffineSums& into, const BlockDualPlace& dz) {
  HWY_DYNAMIC_DISPATCH(BackwardTangent)(map, z, dout, affine, moments, into, dz);
}

}  // namespace retort::nets
#endif
