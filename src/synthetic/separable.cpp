#include "synthetic/separable.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort::synthetic {
namespace {

/// [to, from]; every row has one or two weights.
at::Tensor weights(int64_t from, int64_t to) {
  at::Tensor matrix = at::zeros({to, from}, at::kDouble);
  auto entry = matrix.accessor<double, 2>();
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    const double place = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
    const int64_t low = std::min(static_cast<int64_t>(place), from - 1);
    const double share = place - static_cast<double>(low);
    entry[i][low] += 1 - share;
    entry[i][std::min(low + 1, from - 1)] += share;
  }
  return matrix;
}

/// [size, size]; row k is the k-th cosine.
at::Tensor cosine_rows(int64_t size) {
  at::Tensor matrix = at::empty({size, size}, at::kDouble);
  auto entry = matrix.accessor<double, 2>();
  const auto n = static_cast<double>(size);
  for (int64_t k = 0; k < size; ++k)
    for (int64_t i = 0; i < size; ++i)
      entry[k][i] = std::sqrt((k == 0 ? 1 : 2) / n) *
                    std::cos(std::numbers::pi * static_cast<double>((2 * i + 1) * k) / (2 * n));
  return matrix;
}

}  // namespace

at::Tensor Separable::apply(const at::Tensor& images) const {
  return at::matmul(at::matmul(rows, images), columns.t());
}

at::Tensor Separable::adjoint(const at::Tensor& cotangents) const {
  return at::matmul(at::matmul(rows.t(), cotangents), columns);
}

Separable interpolation(at::IntArrayRef from, at::IntArrayRef to,
                        const at::TensorOptions& options) {
  return {weights(from[0], to[0]).to(options), weights(from[1], to[1]).to(options)};
}

Separable cosines(at::IntArrayRef size, const at::TensorOptions& options) {
  return {cosine_rows(size[0]).to(options), cosine_rows(size[1]).to(options)};
}

}  // namespace retort::synthetic
