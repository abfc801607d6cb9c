// With alpha = A^-1 Y and u = A^-1 K_ts^T G for G = dL/dP: dL/dK_ts = G alpha^T, dL/dY = u and
// dL/dA = -u alpha^T, of which K_ss gets its own entry and, through the trace, a share of the
// diagonal's sum.
#include "methods/kernel/ridge.h"

#include "retort/core/error.h"

namespace retort::methods {

KernelRidge::KernelRidge(at::Tensor k_ss, at::Tensor k_ts, double regularisation)
    : k_ts_(std::move(k_ts)), share_(regularisation / static_cast<double>(k_ss.size(0))) {
  TORCH_CHECK(k_ss.scalar_type() == at::kDouble && k_ts_.scalar_type() == at::kDouble,
              "kernels are float64");
  const at::Tensor ridge = at::diag_embed((share_ * k_ss.trace()).expand({k_ss.size(0)}));
  const auto [factor, info] = at::linalg_cholesky_ex(k_ss + ridge);
  if (info.item<int64_t>() != 0)
    throw StateError(ErrorMessage{"solving the kernel regression",
                                  "the kernel of the synthetic images is not positive definite",
                                  "images that are finite and not all alike",
                                  "raise --regularisation, or lower --image-learning-rate"});
  factor_ = factor;
}

at::Tensor KernelRidge::solve(const at::Tensor& right) const {
  return at::cholesky_solve(right, factor_);
}

at::Tensor KernelRidge::predict(const at::Tensor& labels) const {
  return k_ts_.mm(solve(labels));
}

RidgeCotangents KernelRidge::vjp(const at::Tensor& labels, const at::Tensor& predictions) const {
  const at::Tensor alpha = solve(labels);
  const at::Tensor u = solve(k_ts_.t().mm(predictions));
  const at::Tensor entries = -u.mm(alpha.t());
  const at::Tensor trace = at::diag_embed((share_ * entries.trace()).expand({entries.size(0)}));
  return {entries + trace, predictions.mm(alpha.t()), u};
}

at::Tensor KernelRidge::solve_labels(const at::Tensor& targets) const {
  // On the CPU: libtorch has no solver for rank-deficient systems on other devices.
  const at::Tensor system = solve(k_ts_.t()).t().cpu();
  return std::get<0>(at::linalg_lstsq(system, targets.cpu(), {}, "gelsd")).to(targets.device());
}

}  // namespace retort::methods
