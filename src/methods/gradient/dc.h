#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

/// Gradient matching (Zhao, Mopuri and Bilen, ICLR 2021).
std::unique_ptr<Method> make_dc();

/// The same with differentiable siamese augmentation (Zhao and Bilen, ICML 2021).
std::unique_ptr<Method> make_dsa();

}  // namespace retort::methods
