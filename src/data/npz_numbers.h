// The elements of an array of any number type. No torch here.
#pragma once

#include <cstddef>

#include "io/npy.h"

namespace retort::data {

size_t count_of(const NpyArray& array);

/// Element `i`; whole numbers beyond 2^53 are rounded.
double number_at(const NpyArray& array, size_t i);

inline bool is_float(DType type) {
  return type == DType::kF16 || type == DType::kF32 || type == DType::kF64;
}

}  // namespace retort::data
