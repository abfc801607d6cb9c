#include "nets/sequential/dual_head.h"

namespace retort::nets {

DualHead::DualHead(const Dual& o, const losses::Targets& rows, double share) {
  const at::Tensor values = rows.values.detach();
  const at::Tensor y = values.is_floating_point()
                           ? values
                           : at::one_hot(values.to(at::kLong), o.value.size(1)).to(o.value);
  const at::Tensor q = at::softmax(o.value, 1);
  const at::Tensor away = o.tangent - (q * o.tangent).sum(1, true);
  const at::Tensor total = y.sum(1, true);
  at::Tensor m = at::full({1, 1}, share, o.value.options());
  if (rows.weights.defined()) m = m * rows.weights.detach().unsqueeze(1);
  logits = {m * (q * total - y), m * total * q * away};
  loss = (logits.value * o.tangent).sum();
  targets = -m * away;
}

}  // namespace retort::nets
