// Whether the images of a set show anything.
#pragma once

#include <string>

#include "retort/synthetic/bundle.h"

namespace retort::synthetic {

/// A sentence for the user where the images of a set are nearly flat beside real ones (uint8 [N, C,
/// H, W]), as those are that a run has hardly moved from a start near grey; empty where they are
/// not, or where their pixels are not known.
std::string flatness_note(const Bundle& bundle, const at::Tensor& real);

}  // namespace retort::synthetic
