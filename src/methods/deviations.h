// Deviations that several families of methods share.
#pragma once

namespace retort::methods {

inline constexpr const char* kAllOfAnAugmentation =
    "An --augmentation that begins with all: applies the operations in one fixed order, scale and "
    "rotation by one interpolation; the reference applies them in the order of the words, by two "
    "interpolations.";

}  // namespace retort::methods
