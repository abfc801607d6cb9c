// Winograd's transforms of one tile of a block of channels, a vector at a time: points 0, a, -a, b,
// -b and infinity with a = 2/3, b = 3/2. They round half as much as 1 and 2 do, and a b = 1 saves
// products. F(2x2): 0, 1, -1 and infinity.
#if defined(RETORT_WINOGRAD_TRANSFORMS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef RETORT_WINOGRAD_TRANSFORMS_INL
#undef RETORT_WINOGRAD_TRANSFORMS_INL
#else
#define RETORT_WINOGRAD_TRANSFORMS_INL
#endif

#include <hwy/highway.h>

#include "nets/winograd/unroll_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr double kA = 2.0 / 3.0, kB = 1.5, kA2 = kA * kA, kB2 = kB * kB;
constexpr double kWeightA = 1 / (2 * kA2 * (kA2 - kB2)), kWeightB = 1 / (2 * kB2 * (kB2 - kA2));

template <class D>
HWY_INLINE hn::Vec<D> constant(D d, double value) {
  return hn::Set(d, static_cast<float>(value));
}

/// Coefficients of polynomials, of which `kTile` are the outputs' and three the weight's, by their
/// values at the points, and the transposed of that. Arrays have kTile + 2 entries.
template <int kTile>
struct Transform;

template <>
struct Transform<4> {
  /// B^T and A, for their rows alone.
  struct Input {
    static constexpr double kRows[6][6] = {
        {1, 0, -(kA2 + kB2), 0, 1, 0}, {0, -kB, -kB2, kA, 1, 0}, {0, kB, -kB2, -kA, 1, 0},
        {0, -kA, -kA2, kB, 1, 0},      {0, kA, -kA2, -kB, 1, 0}, {0, 1, 0, -(kA2 + kB2), 0, 1}};
  };
  struct OutputBack {
    static constexpr double kRows[6][4] = {
        {1, 0, 0, 0},          {1, kA, kA2, kA* kA2},   {1, -kA, kA2, -kA* kA2},
        {1, kB, kB2, kB* kB2}, {1, -kB, kB2, -kB* kB2}, {0, 0, 0, 1}};
  };
  /// B^T x: 6 to 6.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void input(D d, const V* x, V* y) {
    const V s = constant(d, kA2 + kB2), a = constant(d, kA), b = constant(d, kB);
    y[0] = hn::NegMulAdd(s, x[2], hn::Add(x[0], x[4]));
    const V even_a = hn::NegMulAdd(constant(d, kB2), x[2], x[4]);
    const V odd_a = hn::NegMulAdd(b, x[1], hn::Mul(a, x[3]));
    const V even_b = hn::NegMulAdd(constant(d, kA2), x[2], x[4]);
    const V odd_b = hn::NegMulAdd(a, x[1], hn::Mul(b, x[3]));
    y[1] = hn::Add(even_a, odd_a);
    y[2] = hn::Sub(even_a, odd_a);
    y[3] = hn::Add(even_b, odd_b);
    y[4] = hn::Sub(even_b, odd_b);
    y[5] = hn::NegMulAdd(s, x[3], hn::Add(x[1], x[5]));
  }
  /// A^T m: 6 to 4.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void output(D d, const V* m, V* y) {
    const V sum_a = hn::Add(m[1], m[2]), less_a = hn::Sub(m[1], m[2]);
    const V sum_b = hn::Add(m[3], m[4]), less_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(hn::Add(m[0], sum_a), sum_b);
    y[1] = hn::MulAdd(constant(d, kA), less_a, hn::Mul(constant(d, kB), less_b));
    y[2] = hn::MulAdd(constant(d, kA2), sum_a, hn::Mul(constant(d, kB2), sum_b));
    y[3] =
        hn::MulAdd(constant(d, kA * kA2), less_a, hn::MulAdd(constant(d, kB * kB2), less_b, m[5]));
  }
  /// A y: 4 to 6.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void output_back(D d, const V* y, V* m) {
    const V even_a = hn::MulAdd(constant(d, kA2), y[2], y[0]);
    const V odd_a = hn::MulAdd(constant(d, kA * kA2), y[3], hn::Mul(constant(d, kA), y[1]));
    const V even_b = hn::MulAdd(constant(d, kB2), y[2], y[0]);
    const V odd_b = hn::MulAdd(constant(d, kB * kB2), y[3], hn::Mul(constant(d, kB), y[1]));
    m[0] = y[0];
    m[1] = hn::Add(even_a, odd_a);
    m[2] = hn::Sub(even_a, odd_a);
    m[3] = hn::Add(even_b, odd_b);
    m[4] = hn::Sub(even_b, odd_b);
    m[5] = y[3];
  }
  /// G w: 3 to 6.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void weight(D d, const V* w, V* u) {
    const V even_a =
        hn::MulAdd(constant(d, kWeightA * kA2), w[2], hn::Mul(constant(d, kWeightA), w[0]));
    const V even_b =
        hn::MulAdd(constant(d, kWeightB * kB2), w[2], hn::Mul(constant(d, kWeightB), w[0]));
    const V odd_a = hn::Mul(constant(d, kWeightA * kA), w[1]);
    const V odd_b = hn::Mul(constant(d, kWeightB * kB), w[1]);
    u[0] = w[0];
    u[1] = hn::Add(even_a, odd_a);
    u[2] = hn::Sub(even_a, odd_a);
    u[3] = hn::Add(even_b, odd_b);
    u[4] = hn::Sub(even_b, odd_b);
    u[5] = w[2];
  }
  /// G^T u: 6 to 3.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void weight_back(D d, const V* u, V* w) {
    const V sum_a = hn::Add(u[1], u[2]), less_a = hn::Sub(u[1], u[2]);
    const V sum_b = hn::Add(u[3], u[4]), less_b = hn::Sub(u[3], u[4]);
    w[0] = hn::MulAdd(constant(d, kWeightA), sum_a, hn::MulAdd(constant(d, kWeightB), sum_b, u[0]));
    w[1] =
        hn::MulAdd(constant(d, kWeightA * kA), less_a, hn::Mul(constant(d, kWeightB * kB), less_b));
    w[2] = hn::MulAdd(constant(d, kWeightA * kA2), sum_a,
                      hn::MulAdd(constant(d, kWeightB * kB2), sum_b, u[5]));
  }
};

template <>
struct Transform<2> {
  struct Input {
    static constexpr double kRows[4][4] = {
        {-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
  };
  struct OutputBack {
    static constexpr double kRows[4][2] = {{1, 0}, {1, 1}, {1, -1}, {0, 1}};
  };
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void input(D, const V* x, V* y) {
    y[0] = hn::Sub(x[2], x[0]);
    y[1] = hn::Add(x[2], x[1]);
    y[2] = hn::Sub(x[2], x[1]);
    y[3] = hn::Sub(x[3], x[1]);
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void output(D, const V* m, V* y) {
    y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
    y[1] = hn::Add(m[3], hn::Sub(m[1], m[2]));
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void output_back(D, const V* y, V* m) {
    m[0] = y[0];
    m[1] = hn::Add(y[0], y[1]);
    m[2] = hn::Sub(y[0], y[1]);
    m[3] = y[1];
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void weight(D d, const V* w, V* u) {
    const V half = hn::Set(d, 0.5f), even = hn::Mul(half, hn::Add(w[0], w[2]));
    const V odd = hn::Mul(half, w[1]);
    u[0] = hn::Neg(w[0]);
    u[1] = hn::Add(even, odd);
    u[2] = hn::Sub(even, odd);
    u[3] = w[2];
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE void weight_back(D d, const V* u, V* w) {
    const V half = hn::Set(d, 0.5f), even = hn::Mul(half, hn::Add(u[1], u[2]));
    w[0] = hn::Sub(even, u[0]);
    w[1] = hn::Mul(half, hn::Sub(u[1], u[2]));
    w[2] = hn::Add(even, u[3]);
  }
};

/// T x T^T of a square: x.load(i, j) gives kFrom x kFrom vectors of the columns that it has(), the
/// others are zeros; `store(i, j, v)` takes kTo x kTo; `one` is T.
template <int kFrom, int kTo, class D, class One, class Square, class Store>
HWY_INLINE void both_ways(D d, const One& one, const Square& square, const Store& store) {
  using V = hn::Vec<D>;
  V middle[to_size(kTo)][to_size(kFrom)];
  unroll<kFrom>([&](auto j) RETORT_INLINE_LAMBDA {
    V x[to_size(kFrom)], y[to_size(kTo)];
    if (square.has(j)) {
      unroll<kFrom>([&](auto i) RETORT_INLINE_LAMBDA { x[i] = square.load(i, j); });
      one(d, x, y);
    } else {
      unroll<kTo>([&](auto i) RETORT_INLINE_LAMBDA { y[i] = hn::Zero(d); });
    }
    unroll<kTo>([&](auto i) RETORT_INLINE_LAMBDA { middle[i][j] = y[i]; });
  });
  unroll<kTo>([&](auto i) RETORT_INLINE_LAMBDA {
    V y[to_size(kTo)];
    one(d, middle[i], y);
    unroll<kTo>([&](auto j) RETORT_INLINE_LAMBDA { store(i, j, y[j]); });
  });
}

/// Row kRow of a matrix times x(0), x(1), ..: what it holds is known here, and zeros cost nothing.
template <class Matrix, int kRow, class D, class Value>
HWY_INLINE hn::Vec<D> row_times(D d, const Value& x) {
  constexpr int kCount = std::extent_v<decltype(Matrix::kRows), 1>;
  hn::Vec<D> sum = hn::Zero(d);
  bool first = true;
  unroll<kCount>([&](auto i) RETORT_INLINE_LAMBDA {
    constexpr double kFactor = Matrix::kRows[kRow][i];
    if constexpr (kFactor == 1) {
      sum = first ? x(i) : hn::Add(sum, x(i));
    } else if constexpr (kFactor != 0) {
      const auto factor = constant(d, kFactor);
      sum = first ? hn::Mul(factor, x(i)) : hn::MulAdd(factor, x(i), sum);
    }
    if constexpr (kFactor != 0) first = false;
  });
  return sum;
}

/// Row kRow of T x T^T of a square of kFrom x kFrom vectors: `store(j, v)` takes its kTo; T is
/// Matrix by its rows, and `one` as a whole.
template <class Matrix, int kRow, int kFrom, int kTo, class D, class One, class Square, class Store>
HWY_INLINE void row_both_ways(D d, const One& one, const Square& square, const Store& store) {
  hn::Vec<D> x[to_size(kFrom)], y[to_size(kTo)];
  unroll<kFrom>([&](auto j) RETORT_INLINE_LAMBDA {
    x[j] = square.has(j) ? row_times<Matrix, kRow>(
                               d, [&](auto i) RETORT_INLINE_LAMBDA { return square.load(i, j); })
                         : hn::Zero(d);
  });
  one(d, x, y);
  unroll<kTo>([&](auto j) RETORT_INLINE_LAMBDA { store(j, y[j]); });
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
