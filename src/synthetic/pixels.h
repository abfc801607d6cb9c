// The simplest parametrisation: every pixel of every image is a parameter.
#pragma once

#include "retort/synthetic/parametrisation.h"

namespace retort::synthetic {

std::unique_ptr<ParametrisationKind> make_pixels();

}  // namespace retort::synthetic
