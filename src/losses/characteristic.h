// How far two samples are apart by their empirical characteristic functions, phi(t) = mean over the
// rows f of exp(i t.f) (Wang et al., CVPR 2025, eq. 6 to 8). Closed forms, float32 or float64, no
// graph.
#pragma once

#include <torch/types.h>

namespace retort::losses {

/// The discrepancy and its derivatives.
struct CharacteristicDiscrepancy {
  at::Tensor value;        ///< scalar
  at::Tensor synthetic;    ///< by the synthetic rows, [N, F]
  at::Tensor frequencies;  ///< by the frequency arguments, [M, F], where they were asked for
};

/// The mean over the rows t of `frequencies` [M, F] of sqrt(h(t)), with the characteristic
/// functions r and s of the rows of `real` [R, F] and `synthetic` [N, F], and w the
/// `amplitude_weight`:
///   h = w (|r| - |s|)^2 + (1 - w) 2 (|r| |s| - Re(r conj(s))),
/// a difference of amplitudes, and one of phases. At w = 1/2 it is |r - s|^2 / 2. Where h is below
/// 1e-12 it is taken as that, and its derivative as 0.
CharacteristicDiscrepancy characteristic_discrepancy(const at::Tensor& real,
                                                     const at::Tensor& synthetic,
                                                     const at::Tensor& frequencies,
                                                     double amplitude_weight, bool by_frequencies);

}  // namespace retort::losses
