#include "losses/influence.h"

namespace retort::losses {
namespace {

constexpr double kLeast = 1e-8;  // of a^2 + b^2, as published

at::Tensor residual(const at::Tensor& probabilities, int64_t label) {
  at::Tensor g = probabilities.clone();
  g.select(1, label).sub_(1);
  return g;
}

}  // namespace

InfluenceMean::InfluenceMean(const at::Tensor& features, const at::Tensor& logits, int64_t label,
                             double weight)
    : probabilities_(at::softmax(logits, 1)),
      features_(features),
      rows_(residual(probabilities_, label) * weight + 1),
      weight_(weight) {}

// The norm of an outer product is the product of the norms.
at::Tensor InfluenceMean::value() const {
  return rows_.values.t().mm(features_.values) / static_cast<double>(features_.values.size(0));
}

InfluenceMean::Slopes InfluenceMean::pullback(const at::Tensor& d) const {
  const at::Tensor share = d / static_cast<double>(features_.values.size(0));
  const at::Tensor by_g = rows_.pullback(features_.values.mm(share.t())) * weight_;
  return {features_.pullback(rows_.values.mm(share)),
          probabilities_ * (by_g - (probabilities_ * by_g).sum(1, true))};
}

VectorGap gap_along(const at::Tensor& real, const at::Tensor& synthetic,
                    const at::Tensor& directions) {
  const UnitRows t(directions);
  const at::Tensor a = t.values.mv(real), b = t.values.mv(synthetic);
  const at::Tensor gap = a - b, whole = a.square() + b.square() + kLeast;
  const at::Tensor by_b = gap * (gap * b + whole) / whole.square() * -2;
  return {(gap.square() / whole).mean(),
          t.values.t().mv(by_b) / static_cast<double>(directions.size(0))};
}

VectorGap gap_along_all(const at::Tensor& real, const at::Tensor& synthetic) {
  constexpr double kFloor = 1e-30;
  const at::Tensor p = real.square().sum().clamp_min(kFloor), q = real.dot(synthetic);
  const at::Tensor across = synthetic - real * (q / p);  // not p r - q^2, which cancels
  const at::Tensor norm = across.norm();
  const at::Tensor whole = p + synthetic.square().sum() + p.sqrt() * norm * 2;
  const at::Tensor slope = synthetic + across * (p.sqrt() / norm.clamp_min(kFloor));
  return {1 - q * 2 / whole, slope * (q * 4 / whole.square()) - real * (2 / whole)};
}

}  // namespace retort::losses
