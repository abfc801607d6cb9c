// Two passes over a map that lies in cache: sums, then values. Highway compiles this file once for
// every instruction set and chooses when the program runs. No torch here.
// x is z less its mean, s the inverse deviation, n = s x, r = mean(n c.); a dot is a derivative
// along the direction, n. = s x. - s^2 r x, s. = -s^2 r.
#include "nets/onednn/kernels.h"

#include <array>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/onednn/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float kEpsilon = 1e-5f;
constexpr int64_t kCell = 4;  // values that share one output

/// Lanes of one vector, of a block of kBlock channels.
template <int kBlock>
using Lanes = hn::CappedTag<float, kBlock>;

/// Where the four values of a cell lie, and how cells follow each other.
struct Cells {
  int64_t across, down, rows, columns;
};

HWY_INLINE Cells cells_of(const BlockMap& map) {
  return {map.block, map.width * map.block, map.height / 2, map.width / 2};
}

/// Calls visit(offset of the cell's first value, offset of its output) for every cell.
template <class Visit>
HWY_INLINE void each_cell(const BlockMap& map, const Visit& visit) {
  const Cells cells = cells_of(map);
  int64_t out = 0;
  for (int64_t row = 0; row < cells.rows; ++row)
    for (int64_t column = 0; column < cells.columns; ++column, out += map.block)
      visit(2 * row * cells.down + 2 * column * cells.across, out);
}

HWY_INLINE std::array<int64_t, kCell> corners(const BlockMap& map) {
  const Cells cells = cells_of(map);
  return {0, cells.across, cells.down, cells.down + cells.across};
}

template <class D>
HWY_INLINE hn::Vec<D> inverse_deviation(D d, hn::Vec<D> variance) {
  const auto kept = hn::Max(variance, hn::Zero(d));
  return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(hn::Add(kept, hn::Set(d, kEpsilon))));
}

template <int kBlock>
HWY_INLINE void forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
                        const BlockMoments& moments) {
  const Lanes<kBlock> d;
  const auto corner = corners(map);
  const float count = static_cast<float>(map.height * map.width);
  for (int64_t c = 0; c < kBlock; c += static_cast<int64_t>(hn::Lanes(d))) {
    // Values less the first one: a mean far from zero does not swallow the variance.
    const auto first = hn::Load(d, z + c);
    std::array<hn::Vec<Lanes<kBlock>>, kCell> sum{hn::Zero(d), hn::Zero(d), hn::Zero(d),
                                                  hn::Zero(d)};
    auto square = sum;
    const int64_t size = map.height * map.width * kBlock;
    for (int64_t i = c; i < size; i += kCell * kBlock)
      for (int64_t k = 0; k < kCell; ++k) {
        const auto x = hn::Sub(hn::Load(d, z + i + k * kBlock), first);
        sum[k] = hn::Add(sum[k], x);
        square[k] = hn::MulAdd(x, x, square[k]);
      }
    const auto share = hn::Set(d, 1 / count);
    const auto away = hn::Mul(hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])), share);
    const auto power =
        hn::Mul(hn::Add(hn::Add(square[0], square[1]), hn::Add(square[2], square[3])), share);
    const auto mean = hn::Add(first, away);
    const auto rstd = inverse_deviation(d, hn::NegMulAdd(away, away, power));
    hn::Store(mean, d, moments.mean + c);
    hn::Store(rstd, d, moments.rstd + c);

    const auto scale = hn::Mul(hn::LoadU(d, affine.gain + c), rstd);
    const auto shift = hn::LoadU(d, affine.shift + c);
    const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
    each_cell(map, [&](int64_t at, int64_t to) HWY_ATTR {
      const float* cell = z + at + c;
      const auto y = [&](int64_t k) HWY_ATTR {
        const auto x = hn::Sub(hn::Load(d, cell + corner[k]), mean);
        return hn::Max(zero, hn::MulAdd(scale, x, shift));  // in this order, NaN stays NaN
      };
      const auto total = hn::Add(hn::Add(y(0), y(1)), hn::Add(y(2), y(3)));
      hn::Store(hn::Mul(total, quarter), d, out + to + c);
    });
  }
}

template <int kBlock>
HWY_INLINE void backward(const BlockMap& map, float* z, const float* dout,
                         const BlockAffine& affine, const BlockMoments& moments, float* dgain,
                         float* dshift) {
  const Lanes<kBlock> d;
  const auto corner = corners(map);
  const float count = static_cast<float>(map.height * map.width);
  for (int64_t c = 0; c < kBlock; c += static_cast<int64_t>(hn::Lanes(d))) {
    const auto mean = hn::Load(d, moments.mean + c), rstd = hn::Load(d, moments.rstd + c);
    const auto gain = hn::LoadU(d, affine.gain + c), shift = hn::LoadU(d, affine.shift + c);
    const auto scale = hn::Mul(gain, rstd);
    const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
    auto sum = zero, product = zero;  // of dy and of dy x
    each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
      const auto dy = hn::Mul(hn::Load(d, dout + from + c), quarter);
      auto kept = zero, kept_x = zero;
      for (int64_t k = 0; k < kCell; ++k) {
        const auto x = hn::Sub(hn::Load(d, z + at + c + corner[k]), mean);
        const auto own = hn::IfThenElseZero(hn::Gt(hn::MulAdd(scale, x, shift), zero), dy);
        kept = hn::Add(kept, own);
        kept_x = hn::MulAdd(own, x, kept_x);
      }
      sum = hn::Add(sum, kept);
      product = hn::Add(product, kept_x);
    });
    hn::StoreU(hn::MulAdd(rstd, product, hn::LoadU(d, dgain + c)), d, dgain + c);
    hn::StoreU(hn::Add(sum, hn::LoadU(d, dshift + c)), d, dshift + c);
    // dz = g s (dy - mean(dy) - x s^2 mean(dy x))
    const auto share = hn::Set(d, 1 / count);
    const auto level = hn::Mul(scale, hn::Mul(sum, share));
    const auto slope = hn::Mul(hn::Mul(scale, hn::Mul(rstd, rstd)), hn::Mul(product, share));
    each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
      const auto dy = hn::Mul(scale, hn::Mul(hn::Load(d, dout + from + c), quarter));
      for (int64_t k = 0; k < kCell; ++k) {
        float* place = z + at + c + corner[k];
        const auto x = hn::Sub(hn::Load(d, place), mean);
        const auto own = hn::IfThenElseZero(hn::Gt(hn::MulAdd(scale, x, shift), zero), dy);
        hn::Store(hn::Sub(hn::NegMulAdd(slope, x, own), level), d, place);
      }
    });
  }
}

template <int kBlock>
HWY_INLINE void forward_tangent(const BlockMap& map, const float* z, BlockTangent tangent,
                                const BlockAffine& affine, float* out, float* out_tangent,
                                const BlockMoments& moments) {
  const Lanes<kBlock> d;
  const auto corner = corners(map);
  const float count = static_cast<float>(map.height * map.width);
  for (int64_t c = 0; c < kBlock; c += static_cast<int64_t>(hn::Lanes(d))) {
    const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
    const auto first = hn::Load(d, z + c);
    auto sum = zero, square = zero, sum_t = zero, product = zero;
    const int64_t size = map.height * map.width * kBlock;
    for (int64_t i = c; i < size; i += kBlock) {
      auto t = hn::Load(d, tangent.first + i);
      if (tangent.second) {
        t = hn::Add(t, hn::Load(d, tangent.second + i));
        hn::Store(t, d, tangent.first + i);
      }
      const auto x = hn::Sub(hn::Load(d, z + i), first);
      sum = hn::Add(sum, x);
      square = hn::MulAdd(x, x, square);
      sum_t = hn::Add(sum_t, t);
      product = hn::MulAdd(x, t, product);
    }
    const auto share = hn::Set(d, 1 / count);
    const auto away = hn::Mul(sum, share), mean = hn::Add(first, away);
    const auto rstd = inverse_deviation(d, hn::NegMulAdd(away, away, hn::Mul(square, share)));
    const auto mean_t = hn::Mul(sum_t, share);
    const auto r = hn::Mul(rstd, hn::NegMulAdd(away, mean_t, hn::Mul(product, share)));
    hn::Store(mean, d, moments.mean + c);
    hn::Store(rstd, d, moments.rstd + c);
    hn::Store(mean_t, d, moments.mean_tangent + c);
    hn::Store(r, d, moments.covariance + c);

    const auto gain = hn::LoadU(d, affine.gain + c), shift = hn::LoadU(d, affine.shift + c);
    const auto gain_t = hn::LoadU(d, affine.gain_tangent + c);
    const auto shift_t = hn::LoadU(d, affine.shift_tangent + c);
    // y = g s x + h;  y. = (g. - g s r) s x + g s x. + h.
    const auto scale = hn::Mul(gain, rstd);
    const auto slope = hn::Mul(hn::NegMulAdd(scale, r, gain_t), rstd);
    each_cell(map, [&](int64_t at, int64_t to) HWY_ATTR {
      auto total = zero, total_t = zero;
      for (int64_t k = 0; k < kCell; ++k) {
        const int64_t place = at + c + corner[k];
        const auto x = hn::Sub(hn::Load(d, z + place), mean);
        const auto xt = hn::Sub(hn::Load(d, tangent.first + place), mean_t);
        const auto y = hn::MulAdd(scale, x, shift);
        const auto yt = hn::MulAdd(slope, x, hn::MulAdd(scale, xt, shift_t));
        total = hn::Add(total, hn::Max(zero, y));
        total_t = hn::Add(total_t, hn::IfThenElseZero(hn::Gt(y, zero), yt));
      }
      hn::Store(hn::Mul(total, quarter), d, out + to + c);
      hn::Store(hn::Mul(total_t, quarter), d, out_tangent + to + c);
    });
  }
}

template <int kBlock>
HWY_INLINE void backward_tangent(const BlockMap& map, float* z, float* z_tangent, const float* dout,
                                 const float* dout_tangent, const float* dout_tangent2,
                                 const BlockAffine& affine, const BlockMoments& moments,
                                 float* dgain_tangent, float* dshift_tangent) {
  const Lanes<kBlock> d;
  const auto corner = corners(map);
  const float count = static_cast<float>(map.height * map.width);
  for (int64_t c = 0; c < kBlock; c += static_cast<int64_t>(hn::Lanes(d))) {
    const auto zero = hn::Zero(d), quarter = hn::Set(d, 0.25f);
    const auto mean = hn::Load(d, moments.mean + c), rstd = hn::Load(d, moments.rstd + c);
    const auto mean_t = hn::Load(d, moments.mean_tangent + c);
    const auto r = hn::Load(d, moments.covariance + c);
    const auto gain = hn::LoadU(d, affine.gain + c), shift = hn::LoadU(d, affine.shift + c);
    const auto gain_t = hn::LoadU(d, affine.gain_tangent + c);
    const auto scale = hn::Mul(gain, rstd);
    const auto cotangents = [&](int64_t from, auto& dy, auto& dyt) HWY_ATTR {
      dy = hn::Mul(hn::Load(d, dout + from + c), quarter);
      dyt = hn::Load(d, dout_tangent + from + c);
      if (dout_tangent2) dyt = hn::Add(dyt, hn::Load(d, dout_tangent2 + from + c));
      dyt = hn::Mul(dyt, quarter);
    };
    auto s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero;
    each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
      auto dy = zero, dyt = zero;
      cotangents(from, dy, dyt);
      for (int64_t k = 0; k < kCell; ++k) {
        const int64_t place = at + c + corner[k];
        const auto x = hn::Sub(hn::Load(d, z + place), mean);
        const auto xt = hn::Sub(hn::Load(d, z_tangent + place), mean_t);
        const auto mask = hn::Gt(hn::MulAdd(scale, x, shift), zero);
        const auto own = hn::IfThenElseZero(mask, dy), own_t = hn::IfThenElseZero(mask, dyt);
        s1 = hn::Add(s1, own);
        s2 = hn::MulAdd(own, x, s2);
        s3 = hn::Add(s3, own_t);
        s4 = hn::MulAdd(own_t, x, s4);
        s5 = hn::MulAdd(own, xt, s5);
      }
    });
    const auto share = hn::Set(d, 1 / count);
    const auto square = hn::Mul(rstd, rstd);
    // dg. = s sum(dy. x) + s sum(dy x.) - s^2 r sum(dy x);  dh. = sum(dy.)
    const auto dgain = hn::NegMulAdd(hn::Mul(square, r), s2, hn::Mul(rstd, hn::Add(s4, s5)));
    hn::StoreU(hn::Add(dgain, hn::LoadU(d, dgain_tangent + c)), d, dgain_tangent + c);
    hn::StoreU(hn::Add(s3, hn::LoadU(d, dshift_tangent + c)), d, dshift_tangent + c);
    // u = g dy, u. = g. dy + g dy.; m1 = mean(u n), m2 = mean(u. n), m3 = mean(u n.)
    const auto mean_u = hn::Mul(hn::Mul(gain, s1), share);
    const auto mean_ut = hn::Mul(hn::MulAdd(gain_t, s1, hn::Mul(gain, s3)), share);
    const auto m1 = hn::Mul(hn::Mul(scale, s2), share);
    const auto m2 = hn::Mul(hn::Mul(rstd, hn::MulAdd(gain_t, s2, hn::Mul(gain, s4))), share);
    const auto m3 =
        hn::Mul(hn::Mul(gain, hn::NegMulAdd(hn::Mul(square, r), s2, hn::Mul(rstd, s5))), share);
    // dz = a dy - b x - e;  dz. = a dy. + f dy + h x - b x. + j
    const auto b = hn::Mul(square, m1), e = hn::Mul(rstd, mean_u);
    const auto s_tangent = hn::Neg(hn::Mul(square, r));
    const auto f = hn::MulAdd(s_tangent, gain, hn::Mul(rstd, gain_t));
    const auto h =
        hn::Sub(hn::Mul(hn::Mul(hn::Set(d, 2.0f), hn::Mul(square, rstd)), hn::Mul(r, m1)),
                hn::Mul(square, hn::Add(m2, m3)));
    const auto j = hn::Neg(hn::MulAdd(s_tangent, mean_u, hn::Mul(rstd, mean_ut)));
    each_cell(map, [&](int64_t at, int64_t from) HWY_ATTR {
      auto dy = zero, dyt = zero;
      cotangents(from, dy, dyt);
      for (int64_t k = 0; k < kCell; ++k) {
        const int64_t place = at + c + corner[k];
        const auto x = hn::Sub(hn::Load(d, z + place), mean);
        const auto xt = hn::Sub(hn::Load(d, z_tangent + place), mean_t);
        const auto mask = hn::Gt(hn::MulAdd(scale, x, shift), zero);
        const auto own = hn::IfThenElseZero(mask, dy), own_t = hn::IfThenElseZero(mask, dyt);
        const auto dz = hn::Sub(hn::NegMulAdd(b, x, hn::Mul(scale, own)), e);
        const auto dzt = hn::Add(hn::MulAdd(scale, own_t, hn::MulAdd(f, own, j)),
                                 hn::NegMulAdd(b, xt, hn::Mul(h, x)));
        hn::Store(dz, d, z_tangent + place);
        hn::Store(dzt, d, z + place);
      }
    });
  }
}

// NOLINTBEGIN(readability-function-size): one line a case
void Forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
             const BlockMoments& moments) {
  if (map.block == 16) return forward<16>(map, z, affine, out, moments);
  forward<8>(map, z, affine, out, moments);
}

void Backward(const BlockMap& map, float* z, const float* dout, const BlockAffine& affine,
              const BlockMoments& moments, float* dgain, float* dshift) {
  if (map.block == 16) return backward<16>(map, z, dout, affine, moments, dgain, dshift);
  backward<8>(map, z, dout, affine, moments, dgain, dshift);
}

void ForwardTangent(const BlockMap& map, const float* z, BlockTangent tangent,
                    const BlockAffine& affine, float* out, float* out_tangent,
                    const BlockMoments& moments) {
  if (map.block == 16)
    return forward_tangent<16>(map, z, tangent, affine, out, out_tangent, moments);
  forward_tangent<8>(map, z, tangent, affine, out, out_tangent, moments);
}

void BackwardTangent(const BlockMap& map, float* z, float* z_tangent, const float* dout,
                     const float* dout_tangent, const float* dout_tangent2,
                     const BlockAffine& affine, const BlockMoments& moments, float* dgain_tangent,
                     float* dshift_tangent) {
  if (map.block == 16)
    return backward_tangent<16>(map, z, z_tangent, dout, dout_tangent, dout_tangent2, affine,
                                moments, dgain_tangent, dshift_tangent);
  backward_tangent<8>(map, z, z_tangent, dout, dout_tangent, dout_tangent2, affine, moments,
                      dgain_tangent, dshift_tangent);
}
// NOLINTEND(readability-function-size)

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);
HWY_EXPORT(ForwardTangent);
HWY_EXPORT(BackwardTangent);

void block_forward(const BlockMap& map, const float* z, const BlockAffine& affine, float* out,
                   const BlockMoments& moments) {
  HWY_DYNAMIC_DISPATCH(Forward)(map, z, affine, out, moments);
}

void block_backward(const BlockMap& map, float* z, const float* dout, const BlockAffine& affine,
                    const BlockMoments& moments, float* dgain, float* dshift) {
  HWY_DYNAMIC_DISPATCH(Backward)(map, z, dout, affine, moments, dgain, dshift);
}

void block_forward_tangent(const BlockMap& map, const float* z, BlockTangent tangent,
                           const BlockAffine& affine, float* out, float* out_tangent,
                           const BlockMoments& moments) {
  HWY_DYNAMIC_DISPATCH(ForwardTangent)(map, z, tangent, affine, out, out_tangent, moments);
}

void block_backward_tangent(const BlockMap& map, float* z, float* z_tangent, const float* dout,
                            const float* dout_tangent, const float* dout_tangent2,
                            const BlockAffine& affine, const BlockMoments& moments,
                            float* dgain_tangent, float* dshift_tangent) {
  HWY_DYNAMIC_DISPATCH(BackwardTangent)
  (map, z, z_tangent, dout, dout_tangent, dout_tangent2, affine, moments, dgain_tangent,
   dshift_tangent);
}

}  // namespace retort::nets
#endif
