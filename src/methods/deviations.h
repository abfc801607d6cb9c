// Deviations that several families of methods share.
#pragma once

namespace retort::methods {

inline constexpr const char* kAllOfAnAugmentation =
    "An --augmentation that begins with all: takes one order of the operations and one "
    "interpolation for scale and rotation together; the reference's order is that of the words, "
    "with two interpolations.";

}  // namespace retort::methods
