#include "losses/contrast.h"

namespace retort::losses {
namespace {

constexpr double kShortest = 1e-12;

at::Tensor lengths(const at::Tensor& z) {
  return z.norm(2, 1, true).clamp_min(kShortest);
}

/// The cotangent of z where `cotangent` is that of unit = z / |z|.
at::Tensor through_unit(const at::Tensor& z, const at::Tensor& unit, const at::Tensor& cotangent) {
  return (cotangent - unit * (unit * cotangent).sum(1, true)) / lengths(z);
}

}  // namespace

at::Tensor unit_rows(const at::Tensor& z) {
  return z / lengths(z);
}

Contrast info_nce(const at::Tensor& z, const at::Tensor& keys, const at::Tensor& queue,
                  double temperature) {
  const auto rows = static_cast<double>(z.size(0));
  const at::Tensor unit = unit_rows(z);
  const at::Tensor right = (unit * keys).sum(1, true);
  const at::Tensor logits = at::cat({right, unit.mm(queue.t())}, 1) / temperature;
  const at::Tensor found = at::log_softmax(logits, 1);
  at::Tensor slope = found.exp();
  slope.select(1, 0).sub_(1);
  slope = slope / (rows * temperature);
  const at::Tensor cotangent =
      slope.narrow(1, 0, 1) * keys + slope.narrow(1, 1, queue.size(0)).mm(queue);
  return {-found.select(1, 0).mean(), through_unit(z, unit, cotangent)};
}

Contrast negative_cosine(const at::Tensor& p, const at::Tensor& target) {
  const at::Tensor unit = unit_rows(p), aim = unit_rows(target);
  return {-(unit * aim).sum(1).mean(),
          through_unit(p, unit, -aim / static_cast<double>(p.size(0)))};
}

}  // namespace retort::losses
