// Addressable memories (Deng and Russakovsky, NeurIPS 2022): bases that all classes share, and
// matrices of coefficients that labels address.
#pragma once

#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {

std::unique_ptr<ParametrisationKind> make_memories();

/// The largest number r of addressing matrices for which `bases` images of sides divided by
/// `downsample`, with r coefficients for each basis and class, take no more numbers than the
/// pixels of the budget; 0 where there is none.
int64_t addressers_within(const SetLayout& budget, int64_t bases, int64_t downsample);

/// Images [N, C, H, W] of bases [K, C, h, w] and coefficients [N, K].
at::Tensor combine(const at::Tensor& bases, const at::Tensor& coefficients, at::IntArrayRef size);

}  // namespace retort::synthetic
