#include "losses/characteristic.h"

namespace retort::losses {
namespace {

constexpr double kFloor = 1e-12;  // of h, and of amplitudes that are divided by

/// The characteristic function of a sample, and what its derivatives need.
struct Empirical {
  Empirical(const at::Tensor& rows, const at::Tensor& frequencies) {
    const at::Tensor angles = frequencies.mm(rows.t());
    cosines = angles.cos();
    sines = angles.sin();
    re = cosines.mean(1);
    im = sines.mean(1);
    amplitude = (re.square() + im.square()).sqrt();
  }
  /// From cotangents of re and im to those of the angles, [M, rows].
  at::Tensor pullback(const at::Tensor& d_re, const at::Tensor& d_im) const {
    const double share = 1.0 / static_cast<double>(cosines.size(1));
    return cosines * (d_im * share).unsqueeze(1) - sines * (d_re * share).unsqueeze(1);
  }

  at::Tensor cosines, sines;     // [M, rows]
  at::Tensor re, im, amplitude;  // [M]
};

/// Cotangents of the angles of `of`, when the other function is `other` and every h weighs
/// `weight`.
at::Tensor by_angles(const Empirical& of, const Empirical& other, double w,
                     const at::Tensor& weight) {
  const at::Tensor divisor = of.amplitude.clamp_min(kFloor);
  // dh / d|of|, and along re and im; the phase's -Re(of conj(other)) has its own part.
  const at::Tensor radial =
      (of.amplitude - other.amplitude) * (2 * w) + other.amplitude * (2 * (1 - w));
  const at::Tensor d_re = radial * of.re / divisor - other.re * (2 * (1 - w));
  const at::Tensor d_im = radial * of.im / divisor - other.im * (2 * (1 - w));
  return of.pullback(d_re * weight, d_im * weight);
}

}  // namespace

CharacteristicDiscrepancy characteristic_discrepancy(const at::Tensor& real,
                                                     const at::Tensor& synthetic,
                                                     const at::Tensor& frequencies,
                                                     double amplitude_weight, bool by_frequencies) {
  const double w = amplitude_weight;
  const Empirical r(real, frequencies), s(synthetic, frequencies);
  const at::Tensor phase = r.amplitude * s.amplitude - r.re * s.re - r.im * s.im;
  const at::Tensor h =
      (r.amplitude - s.amplitude).square() * w + phase.clamp_min(0) * (2 * (1 - w));
  const at::Tensor root = h.clamp_min(kFloor).sqrt();
  // d mean(sqrt(h)) / dh
  const at::Tensor weight = at::where(h > kFloor, 0.5 / root, at::zeros_like(root)) /
                            static_cast<double>(frequencies.size(0));
  const at::Tensor d_synthetic = by_angles(s, r, w, weight);
  CharacteristicDiscrepancy found{root.mean(), d_synthetic.t().mm(frequencies), {}};
  if (by_frequencies)
    found.frequencies = d_synthetic.mm(synthetic) + by_angles(r, s, w, weight).mm(real);
  return found;
}

}  // namespace retort::losses
