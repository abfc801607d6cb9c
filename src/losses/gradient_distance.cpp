// Distances between gradients with their derivatives by hand.
#include "losses/gradient_distance.h"

namespace retort::losses {
namespace {

constexpr double kEpsilon = 1e-6;

/// Adds up the rows' 1 - cosine. a and b are [G, rows, columns]; with n = |a| |b| + e,
/// d/da = -b / n + <a, b> |b| / (n^2 |a|) a.
GradientDistance cosines(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor product = (a * b).sum(-1, true);
  const at::Tensor a_norm = a.norm(2, {-1}, true), b_norm = b.norm(2, {-1}, true);
  const at::Tensor n = a_norm * b_norm + kEpsilon, cosine = product / n;
  const at::Tensor shrink = cosine * b_norm / (n * a_norm);  // [G, rows, 1]
  const at::Tensor guarded = shrink.masked_fill(a_norm == 0, 0);
  return {(1 - cosine).sum({1, 2}), guarded * a - b / n};
}

GradientDistance layerwise(const at::Tensor& a, const at::Tensor& b,
                           const std::vector<GradientSpan>& spans) {
  GradientDistance all{at::zeros({a.size(0)}, a.options()), at::zeros_like(a)};
  for (const GradientSpan& span : spans) {
    if (!span.counted) continue;
    const int64_t count = span.rows * span.columns;
    const std::vector<int64_t> shape{a.size(0), span.rows, span.columns};
    const GradientDistance part = cosines(a.narrow(1, span.offset, count).reshape(shape),
                                          b.narrow(1, span.offset, count).reshape(shape));
    all.value += part.value;
    all.derivative.narrow(1, span.offset, count).copy_(part.derivative.flatten(1));
  }
  return all;
}

/// Of [G, P].
GradientDistance measured(const at::Tensor& a, const at::Tensor& b,
                          const std::vector<GradientSpan>& spans, GradientMetric metric) {
  if (metric == GradientMetric::kLayerwise) return layerwise(a, b, spans);
  if (metric == GradientMetric::kSquared) {
    const at::Tensor gap = a - b;
    return {gap.square().sum(1), 2 * gap};
  }
  const GradientDistance found = cosines(a.unsqueeze(1), b.unsqueeze(1));
  return {found.value, found.derivative.squeeze(1)};
}

}  // namespace

GradientSpan gradient_span(const std::vector<int64_t>& shape, int64_t offset) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  if (shape.size() < 2) return {offset, 1, count, false};
  return {offset, shape.front(), count / shape.front(), true};
}

GradientDistance gradient_distance(const at::Tensor& synthetic, const at::Tensor& real,
                                   const std::vector<GradientSpan>& spans, GradientMetric metric) {
  TORCH_CHECK(synthetic.sizes() == real.sizes() && (real.dim() == 1 || real.dim() == 2),
              "gradients are two [P] or two [G, P], not ", synthetic.sizes(), " and ",
              real.sizes());
  const at::NoGradGuard no_graph;
  if (real.dim() == 2) return measured(synthetic, real, spans, metric);
  const GradientDistance one = measured(synthetic.unsqueeze(0), real.unsqueeze(0), spans, metric);
  return {one.value.squeeze(0), one.derivative.squeeze(0)};
}

}  // namespace retort::losses
