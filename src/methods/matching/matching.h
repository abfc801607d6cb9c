// Methods that match the features of real and synthetic images at networks in training.
#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

/// NCFM (Wang et al., CVPR 2025): characteristic functions, at frequencies that a network seeks.
std::unique_ptr<Method> make_ncfm();
/// TGDD (Ran et al., AAAI 2026): means along the trajectories of experts, which say the classes.
std::unique_ptr<Method> make_tgdd();
/// Inf-Match (Tan et al., CVPR 2026): features and gradients of the last layer, along directions.
std::unique_ptr<Method> make_infmatch();
/// CAFE (Wang et al., CVPR 2022): means in every layer, and real features told apart by them.
std::unique_ptr<Method> make_cafe();

}  // namespace retort::methods
