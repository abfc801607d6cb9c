#include "nets/graph/norms.h"

#include <algorithm>
#include <cmath>

#include "core/sizes.h"

namespace retort::nets {
namespace {

constexpr double kEpsilon = 1e-5;

float narrowed(double value) {
  return static_cast<float>(value);
}

/// Writes the coefficients of a channel of an image.
void write(const NormCall& c, int64_t image, int64_t channel, double mean, double variance,
           const NormCoefficients& to) {
  const double rstd = 1 / std::sqrt(variance + kEpsilon);
  const double scale = c.gain(channel) * rstd;
  to.mean.of(image)[channel] = narrowed(mean);
  to.rstd.of(image)[channel] = narrowed(rstd);
  to.scale.of(image)[channel] = narrowed(scale);
  to.level.of(image)[channel] = narrowed(offset_of(c.theta, c.term.shift, channel) - mean * scale);
}

void from_state(const NormCall& c, const NormCoefficients& to) {
  for (int64_t k = 0; k < c.channels; ++k) {
    const double mean = c.state[c.term.mean + k], variance = c.state[c.term.variance + k];
    write(c, 0, k, mean - offset_of(c.theta, c.term.bias, k), variance, to);
  }
}

void from_bias(const NormCall& c, const NormCoefficients& to) {
  for (int64_t k = 0; k < c.channels; ++k) {
    to.mean.of(0)[k] = 0;
    to.rstd.of(0)[k] = to.scale.of(0)[k] = 1;
    to.level.of(0)[k] = narrowed(offset_of(c.theta, c.term.bias, k));
  }
}

/// Norms of one image: of a channel, or of a group of channels, whose biases differ.
void from_image(const NormCall& c, const MapMoments& maps, int64_t image,
                const NormCoefficients& to) {
  const int64_t width = c.together(), at = image * c.channels;
  for (int64_t first = 0; first < c.real; first += width) {
    double mean = 0, square = 0;
    const auto level = [&](int64_t k) {
      const double bias = width > 1 ? offset_of(c.theta, c.term.bias, k) : 0.0;
      return static_cast<double>(maps.mean[at + k]) + bias;
    };
    for (int64_t k = first; k < first + width; ++k) mean += level(k);
    mean /= static_cast<double>(width);
    for (int64_t k = first; k < first + width; ++k)
      square += static_cast<double>(maps.squares[at + k]) +
                static_cast<double>(c.positions) * (level(k) - mean) * (level(k) - mean);
    const double variance = square / static_cast<double>(width * c.positions);
    for (int64_t k = first; k < first + width; ++k)
      write(c, image, k, mean - (width > 1 ? offset_of(c.theta, c.term.bias, k) : 0.0), variance,
            to);
  }
}

/// Means over a set of u = gain g and of u n, by which its slopes fall.
struct SetMeans {
  double mean, product;
};

void write_slopes(const NormCall& c, int64_t image, int64_t channel, const SetMeans& means,
                  const NormCoefficients& found, const NormSlopes& to) {
  const double rstd = found.rstd.of(image)[channel];
  to.p.of(image)[channel] = found.scale.of(image)[channel];
  to.q.of(image)[channel] = narrowed(-rstd * rstd * means.product);
  to.r.of(image)[channel] = narrowed(-rstd * means.mean);
}

/// Slopes of images begin..end-1, which are normalised together.
void set_slopes(const NormCall& c, int64_t begin, int64_t end, const MapSums& sums,
                const NormCoefficients& found, const NormSlopes& to) {
  const int64_t width = c.together();
  const double share = 1 / static_cast<double>((end - begin) * width * c.positions);
  for (int64_t first = 0; first < c.real; first += width) {
    SetMeans means{0, 0};
    for (int64_t k = first; k < first + width; ++k) {
      double sum = 0, product = 0;
      for (int64_t n = begin; n < end; ++n) {
        sum += static_cast<double>(sums.sum[n * c.channels + k]);
        product += static_cast<double>(sums.product[n * c.channels + k]);
      }
      const double gain = c.gain(k);
      means.mean += gain * sum * share;
      means.product += gain * product * static_cast<double>(found.rstd.of(begin)[k]) * share;
    }
    for (int64_t k = first; k < first + width; ++k) write_slopes(c, begin, k, means, found, to);
  }
}

}  // namespace

void moments_of(const MapMoments& maps, int64_t begin, int64_t end, int64_t channels,
                int64_t positions, double* mean, double* variance) {
  const double images = static_cast<double>(end - begin);
  std::fill_n(mean, channels, 0.0);
  std::fill_n(variance, channels, 0.0);
  for (int64_t n = begin; n < end; ++n)
    for (int64_t k = 0; k < channels; ++k)
      mean[k] += static_cast<double>(maps.mean[n * channels + k]);
  for (int64_t k = 0; k < channels; ++k) mean[k] /= images;
  for (int64_t n = begin; n < end; ++n)
    for (int64_t k = 0; k < channels; ++k) {
      const double away = static_cast<double>(maps.mean[n * channels + k]) - mean[k];
      variance[k] += static_cast<double>(maps.squares[n * channels + k]) +
                     static_cast<double>(positions) * away * away;
    }
  for (int64_t k = 0; k < channels; ++k) variance[k] /= images * static_cast<double>(positions);
}

void norm_coefficients(const NormCall& c, const MapMoments& maps, const NormCoefficients& into,
                       float* variance) {
  if (c.term.norm == NormKind::kNone) return from_bias(c, into);
  if (c.term.norm != NormKind::kBatch) {
    for (int64_t n = 0; n < c.rows; ++n) from_image(c, maps, n, into);
    return;
  }
  if (c.state) return from_state(c, into);
  std::vector<double> mean(to_size(c.channels)), square(to_size(c.channels));
  moments_of(maps, 0, c.rows, c.channels, c.positions, mean.data(), square.data());
  for (int64_t k = 0; k < c.channels; ++k) {
    write(c, 0, k, mean[to_size(k)], square[to_size(k)], into);
    if (variance) variance[k] = narrowed(square[to_size(k)]);
  }
}

void norm_slopes(const NormCall& c, const MapSums& sums, const NormCoefficients& found,
                 const NormSlopes& into) {
  if (!c.measures()) {
    for (int64_t k = 0; k < c.channels; ++k) {
      into.p.of(0)[k] = found.scale.of(0)[k];
      into.q.of(0)[k] = into.r.of(0)[k] = 0;
    }
  } else if (c.shared()) {
    set_slopes(c, 0, c.rows, sums, found, into);
  } else {
    for (int64_t n = 0; n < c.rows; ++n) set_slopes(c, n, n + 1, sums, found, into);
  }
}

void add_moment_slopes(const NormCall& c, const MapMoments& maps, const std::vector<int64_t>& edges,
                       const float* cotangents, const NormCoefficients& found,
                       const NormSlopes& into) {
  const bool apart = into.p.step > 0;
  for (int64_t n = 1; apart && c.shared() && n < c.rows; ++n)
    for (const ByChannel& one : {into.p, into.q, into.r})
      std::copy_n(one.of(0), c.channels, one.of(n));
  std::vector<double> mean(to_size(c.channels)), variance(to_size(c.channels));
  for (size_t g = 0; g + 1 < edges.size(); ++g) {
    moments_of(maps, edges[g], edges[g + 1], c.channels, c.positions, mean.data(), variance.data());
    const float* by_mean = cotangents + to_int64(g) * 2 * c.channels;
    const double share = 1 / static_cast<double>((edges[g + 1] - edges[g]) * c.positions);
    for (int64_t n = edges[g]; n < (apart ? edges[g + 1] : edges[g] + 1); ++n)
      for (int64_t k = 0; k < c.channels; ++k) {
        const double slope = 2 * share * static_cast<double>(by_mean[c.channels + k]);
        const double from = static_cast<double>(found.mean.of(n)[k]) - mean[to_size(k)];
        into.q.of(n)[k] += narrowed(slope);
        into.r.of(n)[k] += narrowed(share * static_cast<double>(by_mean[k]) + slope * from);
      }
  }
}

NormCall norm_call(const PlanTerm& term, const PlanStep& conv, const float* theta,
                   const float* state, int64_t rows) {
  const bool frozen = term.norm == NormKind::kBatch;
  return {term,     theta, frozen ? state : nullptr, rows, conv.out.channels, conv.positions(),
          conv.real};
}

void NormParameters::add_to(const NormCall& c, float* dtheta) const {
  const auto add = [&](int64_t offset, const std::vector<double>& values) {
    if (offset < 0) return;
    for (int64_t k = 0; k < c.channels; ++k) dtheta[offset + k] += narrowed(values[to_size(k)]);
  };
  add(c.term.gain, gain);
  add(c.term.shift, shift);
  add(c.term.bias, bias);
}

void add_norm_parameters(const NormCall& c, const MapSums& sums, const MapMoments& maps,
                         const NormCoefficients& found, const NormSlopes& slopes, float* dtheta) {
  const auto places = static_cast<double>(c.positions);
  std::vector<double> gain(to_size(c.channels)), shift(gain), bias(gain);
  for (int64_t n = 0; n < c.rows; ++n)
    for (int64_t k = 0; k < c.channels; ++k) {
      const int64_t at = n * c.channels + k;
      const double g = sums.sum[at];
      shift[to_size(k)] += g;
      gain[to_size(k)] +=
          static_cast<double>(sums.product[at]) * static_cast<double>(found.rstd.of(n)[k]);
      if (c.term.bias < 0) continue;
      const double away = maps.mean ? static_cast<double>(maps.mean[at] - found.mean.of(n)[k]) : 0;
      bias[to_size(k)] += static_cast<double>(slopes.p.of(n)[k]) * g +
                          places * (static_cast<double>(slopes.q.of(n)[k]) * away +
                                    static_cast<double>(slopes.r.of(n)[k]));
    }
  NormParameters{gain, shift, bias}.add_to(c, dtheta);
}

}  // namespace retort::nets
