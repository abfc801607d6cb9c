// Convolutions of nets/winograd against sums in double, for the instruction sets that this
// processor has, from one thread and from four; what an image gets does not depend on its
// neighbours. Long: all products share the cases and their exact values.
#include "nets/winograd/winograd.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "nets/winograd/dense.h"
#include "nets/winograd/first_layer.h"

namespace retort::nets {
namespace {

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
using Floats = std::unique_ptr<float[], Free>;

/// Memory as an arena gives it, full of NaN: nothing may be read before it is written.
Floats aligned(int64_t count) {
  const auto bytes = static_cast<size_t>((count * 4 + 63) / 64 * 64);
  auto* memory = static_cast<float*>(std::aligned_alloc(64, bytes));
  std::fill_n(memory, count, std::nanf(""));
  return Floats(memory);
}

std::vector<float> random_floats(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

/// A 3x3 convolution of stride 1.
struct Shape {
  int64_t images, in, out, height, width, padding = 1;
  int64_t map_height() const { return height + 2 * padding - 2; }
  int64_t map_width() const { return width + 2 * padding - 2; }
  int64_t inputs() const { return images * in * height * width; }
  int64_t outputs() const { return images * out * map_height() * map_width(); }
  int64_t weights() const { return out * in * 9; }
};

using Exact = std::vector<double>;

/// Plain values and what their products are exactly.
struct Case {
  explicit Case(const Shape& its_shape, unsigned seed = 1)
      : shape(its_shape),
        x(random_floats(shape.inputs(), seed)),
        w(random_floats(shape.weights(), seed + 1)),
        dy(random_floats(shape.outputs(), seed + 2)),
        y(dy.size()),
        dx(x.size()),
        dw(w.size()) {
    for (int64_t n = 0; n < shape.images; ++n)
      for (int64_t o = 0; o < shape.out; ++o)
        for (int64_t i = 0; i < shape.in; ++i)
          for (int64_t tap = 0; tap < 9; ++tap) add(n, o, i, tap);
  }
  const Shape shape;
  const std::vector<float> x, w, dy;
  Exact y, dx, dw;

 private:
  void add(int64_t n, int64_t o, int64_t i, int64_t tap) {
    const int64_t down = tap / 3 - shape.padding, across = tap % 3 - shape.padding;
    const auto k = static_cast<size_t>((o * shape.in + i) * 9 + tap);
    for (int64_t r = 0; r < shape.map_height(); ++r)
      for (int64_t c = 0; c < shape.map_width(); ++c) {
        const int64_t row = r + down, column = c + across;
        if (row < 0 || column < 0 || row >= shape.height || column >= shape.width) continue;
        const auto from =
            static_cast<size_t>(((n * shape.in + i) * shape.height + row) * shape.width + column);
        const auto to = static_cast<size_t>(
            ((n * shape.out + o) * shape.map_height() + r) * shape.map_width() + c);
        y[to] += static_cast<double>(x[from]) * static_cast<double>(w[k]);
        dx[from] += static_cast<double>(dy[to]) * static_cast<double>(w[k]);
        dw[k] += static_cast<double>(x[from]) * static_cast<double>(dy[to]);
      }
  }
};

/// [images, channels, positions] to blocks of 16 channels, and back.
Floats blocked(const std::vector<float>& plain, int64_t channels, int64_t positions) {
  Floats values = aligned(static_cast<int64_t>(plain.size()));
  for (size_t k = 0; k < plain.size(); ++k) {
    const auto place = static_cast<int64_t>(k), map = place / positions;
    values[static_cast<size_t>((map / 16 * positions + place % positions) * 16 + map % 16)] =
        plain[k];
  }
  EXPECT_EQ(channels % 16, 0);
  return values;
}

std::vector<float> plain(const Floats& values, size_t count, int64_t positions) {
  std::vector<float> found(count);
  for (size_t k = 0; k < count; ++k) {
    const auto place = static_cast<int64_t>(k), map = place / positions;
    found[k] =
        values[static_cast<size_t>((map / 16 * positions + place % positions) * 16 + map % 16)];
  }
  return found;
}

/// Errors relative to the largest value, and of root mean squares.
struct Errors {
  double largest, mean;
};

Errors errors(const std::vector<float>& found, const Exact& exact) {
  double worst = 0, size = 0, squares = 0, all = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double away = std::abs(static_cast<double>(found[i]) - exact[i]);
    worst = std::isnan(away) ? INFINITY : std::max(worst, away);
    size = std::max(size, std::abs(exact[i]));
    squares += away * away, all += exact[i] * exact[i];
  }
  return {worst / size, std::sqrt(squares / all)};
}

/// Bounds are three times what was measured; sums of products in float alone reach 0.3e-6.
void expect_close(const std::vector<float>& found, const Exact& exact, WinogradTile tile,
                  const char* what) {
  const Errors off = errors(found, exact);
  const bool large = tile == WinogradTile::k4;
  EXPECT_LT(off.largest, large ? 1e-5 : 4e-6) << what;
  EXPECT_LT(off.mean, large ? 5e-6 : 2e-6) << what;
}

/// The three products of a case.
struct Products {
  std::vector<float> y, dx, dw;
};

Products products_of(const Case& c, WinogradTile tile) {
  const Shape& s = c.shape;
  const int64_t positions = s.height * s.width;
  const WinogradShape there{s.images, s.in, s.out, s.height, s.width, tile};
  const WinogradShape back{s.images, s.out, s.in, s.height, s.width, tile};
  const Floats x = blocked(c.x, s.in, positions), dy = blocked(c.dy, s.out, positions);
  const Floats y = aligned(s.outputs()), dx = aligned(s.inputs());
  const Floats weights = aligned(std::max(winograd_weights(there), winograd_weights(back)));
  const Floats scratch = aligned(std::max(
      winograd_weight_scratch(there), std::max(winograd_scratch(there), winograd_scratch(back))));
  Products found;
  winograd_pack(there, c.w.data(), false, weights.get());
  winograd_convolve(there, x.get(), weights.get(), y.get(), scratch.get());
  found.y = plain(y, c.dy.size(), positions);
  winograd_pack(back, c.w.data(), true, weights.get());
  winograd_convolve(back, dy.get(), weights.get(), dx.get(), scratch.get());
  found.dx = plain(dx, c.x.size(), positions);
  found.dw.assign(c.w.size(), 0.0f);
  winograd_weight(there, x.get(), dy.get(), found.dw.data(), scratch.get());
  return found;
}

/// Restricts Highway to one instruction set while it lives.
class OnTarget {
 public:
  explicit OnTarget(int64_t target) { use(target); }
  ~OnTarget() { use(0); }

 private:
  static void use(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

class WinogradOn : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    if ((hwy::SupportedTargets() & GetParam()) == 0) GTEST_SKIP() << "not on this processor";
    target_ = std::make_unique<OnTarget>(GetParam());
  }
  std::unique_ptr<OnTarget> target_;
};

TEST_P(WinogradOn, ProductsAreThoseInDouble) {
  std::mt19937 generator(7);
  const auto draw = [&](int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(generator);
  };
  std::vector<Shape> shapes{{5, 128, 128, 8, 8}, {9, 128, 32, 16, 16}, {1, 16, 16, 1, 2}};
  for (int i = 0; i < 8; ++i)
    shapes.push_back({draw(1, 7), 16 * draw(1, 5), 16 * draw(1, 5), draw(1, 14), draw(1, 14)});
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.images << " of " << shape.in << " -> " << shape.out
                                    << ", " << shape.height << "x" << shape.width);
    const Case c(shape);
    for (const WinogradTile tile : {WinogradTile::k4, WinogradTile::k2}) {
      const Products found = products_of(c, tile);
      expect_close(found.y, c.y, tile, "output");
      expect_close(found.dx, c.dx, tile, "input's cotangent");
      expect_close(found.dw, c.dw, tile, "weight's cotangent");
    }
  }
}

Exact sum(Exact a, const Exact& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

TEST_P(WinogradOn, TwoTermsAreTheirSum) {
  for (const Shape& shape : {Shape{5, 128, 48, 8, 8}, Shape{9, 32, 64, 16, 13}}) {
    const Case one(shape), two(shape, 11);
    const int64_t positions = shape.height * shape.width;
    for (const WinogradTile tile : {WinogradTile::k4, WinogradTile::k2}) {
      const WinogradShape s{shape.images, shape.in, shape.out, shape.height, shape.width, tile};
      const Floats x = blocked(one.x, s.in, positions), x2 = blocked(two.x, s.in, positions);
      const Floats dy = blocked(one.dy, s.out, positions), dy2 = blocked(two.dy, s.out, positions);
      const Floats y = aligned(shape.outputs()),
                   scratch = aligned(std::max(winograd_scratch(s, 2), winograd_weight_scratch(s)));
      const Floats w = aligned(winograd_weights(s)), w2 = aligned(winograd_weights(s));
      winograd_pack(s, one.w.data(), false, w.get());
      winograd_pack(s, two.w.data(), false, w2.get());
      winograd_convolve(s, x.get(), w.get(), y.get(), scratch.get(), {x2.get(), w2.get()});
      std::vector<float> dw(one.w.size());
      winograd_weight(s, x.get(), dy.get(), dw.data(), scratch.get(), {x2.get(), dy2.get()});
      expect_close(plain(y, one.dy.size(), positions), sum(one.y, two.y), tile, "output");
      expect_close(dw, sum(one.dw, two.dw), tile, "weight's cotangent");
    }
  }
}

TEST_P(WinogradOn, AnImageGetsTheSameBitsAloneAndFromManyThreads) {
  const Shape shape{11, 48, 80, 9, 8};
  const Case c(shape);
  const Products whole = products_of(c, WinogradTile::k4);
  std::vector<Products> found(4);
  std::vector<std::thread> threads;
  for (Products& one : found) threads.emplace_back([&] { one = products_of(c, WinogradTile::k4); });
  for (std::thread& thread : threads) thread.join();
  for (const Products& one : found) {
    EXPECT_EQ(one.y, whole.y);
    EXPECT_EQ(one.dx, whole.dx);
    EXPECT_EQ(one.dw, whole.dw);
  }
  const WinogradShape alone{1, shape.in, shape.out, shape.height, shape.width};
  const int64_t positions = shape.height * shape.width;
  const Floats weights = aligned(winograd_weights(alone)), y = aligned(alone.output_size());
  const Floats scratch = aligned(winograd_scratch(alone));
  winograd_pack(alone, c.w.data(), false, weights.get());
  for (int64_t n = 0; n < shape.images; ++n) {
    const auto begin = c.x.begin() + n * alone.input_size();
    const Floats x = blocked({begin, begin + alone.input_size()}, shape.in, positions);
    winograd_convolve(alone, x.get(), weights.get(), y.get(), scratch.get());
    const auto size = static_cast<size_t>(alone.output_size());
    const auto own = whole.y.begin() + n * alone.output_size();
    EXPECT_EQ(plain(y, size, positions), std::vector<float>(own, own + alone.output_size())) << n;
  }
}

TEST_P(WinogradOn, TheFirstLayersProductsAreThoseInDouble) {
  const std::vector<Shape> shapes{{3, 3, 128, 32, 32},
                                  {2, 1, 16, 28, 28, 3},
                                  {3, 4, 48, 7, 5},
                                  {1, 2, 32, 1, 2, 2},
                                  {2, 3, 16, 9, 3, 0}};
  for (const Shape& shape : shapes) {
    const Case c(shape);
    const FirstShape s{shape.images, shape.in, shape.out, shape.height, shape.width, shape.padding};
    const Floats dy = blocked(c.dy, shape.out, s.positions()), y = aligned(shape.outputs());
    const Floats weights = aligned(first_weights(s, false)),
                 turned = aligned(first_weights(s, true));
    const Floats scratch = aligned(first_scratch(s));
    first_pack(s, c.w.data(), false, weights.get());
    first_pack(s, c.w.data(), true, turned.get());
    first_forward(s, c.x.data(), weights.get(), y.get(), scratch.get());
    std::vector<float> dx(c.x.size()), dw(c.w.size());
    first_input(s, dy.get(), turned.get(), dx.data(), scratch.get());
    first_weight(s, c.x.data(), dy.get(), dw.data(), scratch.get());
    EXPECT_LT(errors(plain(y, c.dy.size(), s.positions()), c.y).largest, 1e-6);
    EXPECT_LT(errors(dx, c.dx).largest, 1e-6);
    EXPECT_LT(errors(dw, c.dw).largest, 1e-5);
    dx.assign(dx.size(), 0.0f);
    first_input(s, dy.get(), turned.get(), dx.data(), scratch.get(), {dy.get(), turned.get()});
    EXPECT_LT(errors(dx, sum(c.dx, c.dx)).largest, 1e-6);
  }
}

TEST_P(WinogradOn, DenseProductsAreThoseInDouble) {
  const int64_t m = 5, n = 71, k = 83;
  const std::vector<float> a = random_floats(m * k, 4), b = random_floats(n * k, 5);
  std::vector<float> by_rows(m * n, 1.0f), product(m * n, 1.0f), across(m * n, 1.0f);
  Exact rows(m * n, 1.0), plain_product(m * n, 1.0), turned(m * n, 1.0);
  const auto at = [](const std::vector<float>& values, int64_t i) {
    return static_cast<double>(values[static_cast<size_t>(i)]);
  };
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t t = 0; t < k; ++t) {
        const auto c = static_cast<size_t>(i * n + j);
        rows[c] += at(a, i * k + t) * at(b, j * k + t);
        plain_product[c] += at(a, i * k + t) * at(b, t * n + j);
        turned[c] += at(a, t * m + i) * at(b, t * n + j);
      }
  add_rows_by_rows(m, n, k, a.data(), b.data(), by_rows.data());
  add_matrix_product(m, n, k, a.data(), k, 1, b.data(), product.data());
  add_matrix_product(m, n, k, a.data(), 1, m, b.data(), across.data());
  EXPECT_LT(errors(by_rows, rows).largest, 1e-6);
  EXPECT_LT(errors(product, plain_product).largest, 1e-6);
  EXPECT_LT(errors(across, turned).largest, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Targets, WinogradOn,
                         testing::Values(int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, int64_t{HWY_SSE4}));

}  // namespace
}  // namespace retort::nets
