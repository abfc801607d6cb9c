// The bytes of a tensor by its shape. No torch here.
#pragma once

#include <cstdint>

#include "io/safetensors.h"

namespace retort {

/// What a tensor's shape and type come to, whatever bytes it has.
uint64_t bytes_by_shape(const RawTensor& tensor);

}  // namespace retort
