// Frequency parametrisation (Shin et al., FreD, NeurIPS 2023): the cosine coefficients in which the
// images of a class differ most.
#pragma once

#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {

std::unique_ptr<ParametrisationKind> make_frequency();

}  // namespace retort::synthetic
