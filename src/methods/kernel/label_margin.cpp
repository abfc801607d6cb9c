#include "methods/kernel/label_margin.h"

namespace retort::methods {

LabelMargin label_margin(const at::Tensor& labels) {
  const double most = 1 / static_cast<double>(labels.size(1));
  const auto [top, places] = labels.topk(2, 1);
  const at::Tensor lead = top.select(1, 0) - top.select(1, 1);
  const at::Tensor push =
      lead.lt(most).to(labels.scalar_type()) / static_cast<double>(labels.size(0));
  at::Tensor gradient = at::zeros_like(labels);
  gradient.scatter_(1, places, at::stack({-push, push}, 1));
  return {-lead.clamp_max(most).mean().item<double>(), gradient};
}

}  // namespace retort::methods
