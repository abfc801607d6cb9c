// Element types of our files as libtorch's.
#pragma once

#include <torch/types.h>

#include <array>
#include <utility>

#include "io/npy.h"
#include "io/safetensors.h"

namespace retort {

constexpr std::array<std::pair<DType, at::ScalarType>, 10> kScalarTypes{
    {{DType::kBool, at::kBool},
     {DType::kU8, at::kByte},
     {DType::kI8, at::kChar},
     {DType::kI16, at::kShort},
     {DType::kI32, at::kInt},
     {DType::kI64, at::kLong},
     {DType::kF16, at::kHalf},
     {DType::kBF16, at::kBFloat16},
     {DType::kF32, at::kFloat},
     {DType::kF64, at::kDouble}}};

inline at::ScalarType scalar_type_of(DType dtype) {
  for (const auto& [from, to] : kScalarTypes)
    if (from == dtype) return to;
  TORCH_INTERNAL_ASSERT(false, "no such element type");
}

inline DType dtype_of(at::ScalarType type) {
  for (const auto& [to, from] : kScalarTypes)
    if (from == type) return to;
  TORCH_CHECK(false, "no element type of our files for ", type);
}

}  // namespace retort
