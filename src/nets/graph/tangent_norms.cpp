#include "nets/graph/tangent_norms.h"

#include "core/sizes.h"

namespace retort::nets {
namespace {

float narrowed(double value) {
  return static_cast<float>(value);
}

double wide(const ByChannel& values, int64_t image, int64_t channel) {
  return static_cast<double>(values.of(image)[channel]);
}

double values_of(const NormCall& c, const NormSet& set) {
  return static_cast<double>((set.end - set.begin) * set.width * c.positions);
}

/// Sums of a set.
template <class Value>
double sum_over(const NormCall& c, const NormSet& set, const Value& value) {
  double sum = 0;
  for (int64_t n = set.begin; n < set.end; ++n)
    for (int64_t k = set.first; k < set.first + set.width; ++k) sum += value(n * c.channels + k, k);
  return sum;
}

void write(const NormCall& c, const float* direction, const NormSet& set, double mean,
           double covariance, const NormCoefficients& found, const TangentCoefficients& into) {
  for (int64_t k = set.first; k < set.first + set.width; ++k) {
    const double scale = wide(found.scale, set.begin, k);
    const double slope = (offset_of(direction, c.term.gain, k) - scale * covariance) *
                         wide(found.rstd, set.begin, k);
    // Biases that a mean takes away again do not move what is left.
    const bool cancels = c.measures() && set.width == 1;
    const double own = mean - (cancels ? 0.0 : offset_of(direction, c.term.bias, k));
    into.mean.of(set.begin)[k] = narrowed(own);
    into.covariance.of(set.begin)[k] = narrowed(covariance);
    into.slope.of(set.begin)[k] = narrowed(slope);
    into.level.of(set.begin)[k] = narrowed(offset_of(direction, c.term.shift, k) -
                                           slope * wide(found.mean, set.begin, k) - scale * own);
  }
}

/// Means over a set of u = gain g and its like, by which slopes fall.
struct SetSums {
  double u, ut, un, utn, uxt;
};

SetSums sums_of(const NormCall& c, const float* direction, const NormSet& set,
                const DualMapSums& sums, double rstd) {
  const double share = 1 / values_of(c, set);
  const auto mean = [&](const float* plain, const float* along) {
    return share * sum_over(c, set, [&](int64_t at, int64_t k) {
             const double own = c.gain(k) * static_cast<double>(plain[at]);
             if (!along) return own;
             return own + offset_of(direction, c.term.gain, k) * static_cast<double>(along[at]);
           });
  };
  return {mean(sums.g, nullptr), mean(sums.gt, sums.g), rstd * mean(sums.g_x, nullptr),
          rstd * mean(sums.gt_x, sums.g_x), mean(sums.g_xt, nullptr)};
}

}  // namespace

void tangent_coefficients(const NormCall& c, const float* direction, const DualMoments& maps,
                          const NormCoefficients& found, const TangentCoefficients& into) {
  each_set(c, [&](const NormSet& set) {
    if (!c.measures()) return write(c, direction, set, 0, 0, found, into);
    const auto level = [&](int64_t at, int64_t k) {
      const double bias = set.width > 1 ? offset_of(direction, c.term.bias, k) : 0.0;
      return static_cast<double>(maps.tangent_mean[at]) + bias;
    };
    const auto places = static_cast<double>(c.positions);
    const double share = 1 / values_of(c, set), mean = share * places * sum_over(c, set, level);
    const double products = sum_over(c, set, [&](int64_t at, int64_t k) {
      const double away = static_cast<double>(maps.mean[at]) - wide(found.mean, set.begin, k);
      return static_cast<double>(maps.product[at]) + places * away * (level(at, k) - mean);
    });
    const double rstd = wide(found.rstd, set.begin, set.first);
    write(c, direction, set, mean, rstd * share * products, found, into);
  });
}

void tangent_slopes(const NormCall& c, const float* direction, const DualMapSums& sums,
                    const NormCoefficients& found, const TangentCoefficients& along,
                    const TangentSlopes& into) {
  each_set(c, [&](const NormSet& set) {
    double q = 0, level = 0;
    if (c.measures()) {
      const double s = wide(found.rstd, set.begin, set.first);
      const double r = wide(along.covariance, set.begin, set.first);
      const SetSums means = sums_of(c, direction, set, sums, s);
      // The mean of u n moves by that of u. n and by that of u n. = u (s x. - s r n).
      const double moved = means.utn + s * means.uxt - s * r * means.un;
      q = 2 * s * s * s * r * means.un - s * s * moved;
      level = s * s * r * means.u - s * means.ut;
    }
    for (int64_t k = set.first; k < set.first + set.width; ++k) {
      into.q.of(set.begin)[k] = narrowed(q);
      into.r.of(set.begin)[k] = narrowed(level);
    }
  });
}

void add_tangent_parameters(const NormCall& c, const DualMapSums& sums, const DualMoments& maps,
                            const DualBack& back, float* dtheta) {
  const auto places = static_cast<double>(c.positions);
  std::vector<double> gain(to_size(c.channels)), shift(gain), bias(gain);
  const auto value = [](const float* all, int64_t at) { return static_cast<double>(all[at]); };
  for (int64_t n = 0; n < c.rows; ++n)
    for (int64_t k = 0; k < c.channels; ++k) {
      const int64_t at = n * c.channels + k;
      const double s = wide(back.found.rstd, n, k), r = wide(back.along.covariance, n, k);
      shift[to_size(k)] += value(sums.gt, at);
      gain[to_size(k)] +=
          s * (value(sums.gt_x, at) + value(sums.g_xt, at)) - s * s * r * value(sums.g_x, at);
      if (c.term.bias < 0) continue;
      const double away = value(maps.mean, at) - wide(back.found.mean, n, k);
      const double away_t = value(maps.tangent_mean, at) - wide(back.along.mean, n, k);
      bias[to_size(k)] +=
          wide(back.slopes.p, n, k) * value(sums.gt, at) +
          wide(back.along.slope, n, k) * value(sums.g, at) +
          places * (wide(back.slopes.q, n, k) * away_t + wide(back.tangents.q, n, k) * away +
                    wide(back.tangents.r, n, k));
    }
  NormParameters{gain, shift, bias}.add_to(c, dtheta);
}

}  // namespace retort::nets
