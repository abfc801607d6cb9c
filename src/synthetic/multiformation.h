// Multi-formation (Kim et al., IDC, ICML 2022): a stored image is a mosaic of f x f smaller ones.
#pragma once

#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {

std::unique_ptr<ParametrisationKind> make_multiformation();

}  // namespace retort::synthetic
