// The cells of a map, 2x2 values that share one output, and a block's channels by vectors: what
// the kernels' sources share. Read once for every instruction set. No torch here.
#if defined(RETORT_CELLS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_CELLS_INL
#undef RETORT_CELLS_INL
#else
#define RETORT_CELLS_INL
#endif

#include <hwy/highway.h>

#include <array>

#include "nets/blocked/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float kEpsilon = 1e-5f;
constexpr int64_t kCell = 4;  // values that share one output

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

template <class V>
HWY_INLINE V total(const V (&parts)[kCell]) {
  return hn::Add(hn::Add(parts[0], parts[1]), hn::Add(parts[2], parts[3]));
}

template <class D>
HWY_INLINE hn::Vec<D> inverse_deviation(D d, hn::Vec<D> variance) {
  const auto kept = hn::Max(variance, hn::Zero(d));
  return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(hn::Add(kept, hn::Set(d, kEpsilon))));
}

template <class D>
HWY_INLINE hn::Vec<D> share_of_one(D d, const BlockMap& map) {
  return hn::Set(d, 1 / static_cast<float>(map.height * map.width));
}

/// One vector of channels: y = gain n + shift = scale x + shift, which ReLU lets pass above zero.
template <class D>
struct Norm {
  using V = hn::Vec<D>;
  V mean, rstd, gain, shift, scale;

  HWY_INLINE Norm(D d, const BlockAffine& affine, const BlockMoments& moments)
      : mean(hn::Load(d, moments.mean)),
        rstd(hn::Load(d, moments.rstd)),
        gain(hn::LoadU(d, affine.gain)),
        shift(hn::LoadU(d, affine.shift)),
        scale(hn::Mul(gain, rstd)) {}
  HWY_INLINE V x(D d, const float* z) const { return hn::Sub(hn::Load(d, z), mean); }
  HWY_INLINE V y(V x) const { return hn::MulAdd(scale, x, shift); }
};

/// Calls visit(tag of a vector, channel it begins at) for all vectors of a block of channels.
template <size_t kBlock, class Visit>
HWY_INLINE void each_vector(const Visit& visit) {
  const hn::CappedTag<float, kBlock> d;
  for (size_t c = 0; c < kBlock; c += hn::Lanes(d)) visit(d, static_cast<int64_t>(c));
}

template <class Visit>
HWY_INLINE void each_vector(const BlockMap& map, const Visit& visit) {
  if (map.block == 16) return each_vector<16>(visit);
  each_vector<8>(visit);
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
