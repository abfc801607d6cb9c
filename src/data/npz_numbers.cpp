// Whole numbers out of arrays. No torch here.
#include "data/npz_numbers.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace retort::data {
namespace {

double half_to_double(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  double value = exponent == 0    ? std::ldexp(fraction, -24)
                 : exponent == 31 ? (fraction ? std::nan("") : HUGE_VAL)
                                  : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -value : value;
}

template <class T>
T at(const NpyArray& array, size_t i) {
  T value;
  std::memcpy(&value, array.data.data() + i * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

size_t count_of(const NpyArray& array) {
  return array.data.size() / dtype_size(array.dtype);
}

double number_at(const NpyArray& array, size_t i) {
  switch (array.dtype) {
    case DType::kI8:
      return at<int8_t>(array, i);
    case DType::kI16:
      return at<int16_t>(array, i);
    case DType::kI32:
      return at<int32_t>(array, i);
    case DType::kI64:
      return static_cast<double>(at<int64_t>(array, i));
    case DType::kF16:
      return half_to_double(at<uint16_t>(array, i));
    case DType::kF32:
      return at<float>(array, i);
    case DType::kF64:
      return at<double>(array, i);
    default:
      return at<uint8_t>(array, i);
  }
}

}  // namespace retort::data
