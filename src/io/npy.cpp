// NumPy's .npy: a header, then raw numbers. No torch here.
#include "io/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/sizes.h"
#include "io/npy_header.h"
#include "io/npy_size.h"
#include "retort/core/error.h"

namespace retort {
namespace {

/// Elements of Fortran order in C order.
std::string to_c_order(const NpyHeader& header, int64_t width, int64_t count) {
  std::string out(header.data.size(), '\0');
  const std::vector<int64_t>& shape = header.shape;
  std::vector<int64_t> index(shape.size(), 0), stride(shape.size(), 1);
  for (size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * shape[d - 1];
  int64_t source = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(header.data.data() + source * width, width, out.data() + i * width);
    for (size_t d = shape.size(); d-- > 0;) {
      source += stride[d];
      if (++index[d] < shape[d]) break;
      source -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return out;
}

template <class From, class To>
std::string widen(std::string_view data, const std::string& path) {
  std::string out(data.size() / sizeof(From) * sizeof(To), '\0');
  for (size_t i = 0; i < data.size() / sizeof(From); ++i) {
    From from;
    std::memcpy(&from, data.data() + i * sizeof(From), sizeof(From));
    const To to = static_cast<To>(from);
    if (to < 0) throw DataError::damaged(path, "a number beyond 64 signed bits");
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
  return out;
}

struct TypeRow {
  std::string_view code;
  DType dtype;
};
constexpr TypeRow kTypes[] = {{"b1", DType::kBool}, {"u1", DType::kU8},  {"i1", DType::kI8},
                              {"i2", DType::kI16},  {"i4", DType::kI32}, {"i8", DType::kI64},
                              {"f2", DType::kF16},  {"f4", DType::kF32}, {"f8", DType::kF64}};

[[noreturn]] void refuse_type(const std::string& type, const std::string& path) {
  const bool objects = type.find('O') != std::string::npos;
  throw DataError({"reading '" + path + "'",
                   objects ? "an array of Python objects (type '" + type + "')"
                           : "an array of type '" + type + "'",
                   "integers, floats of 2 to 8 bytes, or bool",
                   objects ? "save plain numbers or texts: np.stack(images), or labels.astype(str)"
                           : "convert it in NumPy, such as array.astype('uint8') for images and "
                             "array.astype('int64') for labels"});
}

/// Elements with their bytes in the other order.
std::string swapped(std::string_view data, int64_t width) {
  std::string out(data);
  for (auto at = out.begin(); out.end() - at >= width; at += width) std::reverse(at, at + width);
  return out;
}

}  // namespace

NpyArray parse_npy(std::string_view bytes, const std::string& path) {
  const NpyHeader header = read_npy_header(bytes, path);
  if (header.type.size() != 3 || std::string_view("<|>").find(header.type[0]) == std::string::npos)
    refuse_type(header.type, path);
  const std::string code = header.type.substr(1);
  const int64_t width = code[1] - '0';
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeRow& type) { return type.code == code; });
  const bool wide_unsigned = code == "u2" || code == "u4" || code == "u8";
  if (row == std::end(kTypes) && !wide_unsigned) refuse_type(header.type, path);
  const int64_t count = check_npy_size(header, width, path);

  NpyArray array;
  array.shape = header.shape;
  array.data = header.data;
  const auto own = [&](std::string copy) {
    array.owned = std::make_shared<const std::string>(std::move(copy));
    array.data = *array.owned;
  };
  if (header.fortran && header.shape.size() > 1) own(to_c_order(header, width, count));
  if (header.type[0] == '>') own(swapped(array.data, width));
  if (row != std::end(kTypes)) array.dtype = row->dtype;
  if (wide_unsigned) array.dtype = code == "u2" ? DType::kI32 : DType::kI64;
  if (code == "u2") own(widen<uint16_t, int32_t>(array.data, path));
  if (code == "u4") own(widen<uint32_t, int64_t>(array.data, path));
  if (code == "u8") own(widen<uint64_t, int64_t>(array.data, path));
  return array;
}

uint64_t npy_size(std::string_view start, const std::string& path) {
  const NpyHeader header = read_npy_header(start, path);
  const size_t digits = header.type.find_first_of("0123456789");
  uint64_t width = 0;
  const char* end = header.type.data() + header.type.size();
  if (digits == std::string::npos) return 0;
  if (std::from_chars(header.type.data() + digits, end, width).ec != std::errc() || width > 1 << 20)
    refuse_type(header.type, path);
  if (header.type.find('U') != std::string::npos) width *= 4;  // characters
  uint64_t total = width;
  bool overflow = false;
  for (const int64_t size : header.shape)
    overflow |= __builtin_mul_overflow(total, to_size(size), &total);
  if (overflow || total > uint64_t{1} << 60)
    throw DataError::damaged(path, "its array header has sizes that overflow");
  return total + to_size(header.data.data() - start.data());
}

std::string npy_bytes(DType dtype, const std::vector<int64_t>& shape, std::string_view data) {
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeRow& type) { return type.dtype == dtype; });
  if (row == std::end(kTypes))
    throw DataError({"writing a .npy array", "numbers of type " + std::string(dtype_name(dtype)),
                     "types that NumPy has", "convert them to float32"});
  const std::string order = dtype_size(dtype) == 1 ? "|" : "<";
  return npy_header_bytes(order + std::string(row->code), shape).append(data);
}

}  // namespace retort
