#include "losses/statistics.h"

#include <cmath>

namespace retort::losses {
namespace {

constexpr double kNormEpsilon = 1e-12;  // under the root: a norm has no derivative at 0
constexpr double kBatchNormEpsilon = 1e-5;

at::Tensor by_channel(const at::Tensor& values) {
  return values.view({1, -1, 1, 1});
}

/// |gap| and d|gap| / d gap.
std::pair<double, at::Tensor> norm_of(const at::Tensor& gap) {
  const double norm = std::sqrt(gap.square().sum().item<double>() + kNormEpsilon);
  return {norm, gap / norm};
}

}  // namespace

Moments moments(const at::Tensor& input) {
  const at::Tensor mean = input.mean({0, 2, 3});
  return {mean, (input - by_channel(mean)).square().mean({0, 2, 3})};
}

at::Tensor as_rows(const Moments& moments) {
  return at::stack({moments.mean, moments.variance});
}

Moments from_rows(const at::Tensor& rows) {
  return {rows[0], rows[1]};
}

StatisticsDistance statistics_distance(const Moments& found, const Moments& kept,
                                       StatisticsUnit unit) {
  const bool raw = unit == StatisticsUnit::kRaw;
  const at::Tensor floor = kept.variance + kBatchNormEpsilon;
  const at::Tensor variance_unit = raw ? at::ones_like(floor) : floor;
  const at::Tensor mean_unit = raw ? variance_unit : floor.sqrt();
  const double share = raw ? 1 : 1 / std::sqrt(static_cast<double>(floor.numel()));

  const auto [variance_norm, by_variance] =
      norm_of((found.variance - kept.variance) / variance_unit);
  const auto [mean_norm, by_mean] = norm_of((found.mean - kept.mean) / mean_unit);
  return {share * (variance_norm + mean_norm),
          {by_mean / mean_unit * share, by_variance / variance_unit * share}};
}

}  // namespace retort::losses
