#include "retort/core/tensor_file.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <utility>

#include "retort/core/error.h"
#include "retort/core/safetensors.h"

namespace retort {
namespace {

constexpr std::array<std::pair<DType, at::ScalarType>, 10> kTypes{{{DType::kBool, at::kBool},
                                                                   {DType::kU8, at::kByte},
                                                                   {DType::kI8, at::kChar},
                                                                   {DType::kI16, at::kShort},
                                                                   {DType::kI32, at::kInt},
                                                                   {DType::kI64, at::kLong},
                                                                   {DType::kF16, at::kHalf},
                                                                   {DType::kBF16, at::kBFloat16},
                                                                   {DType::kF32, at::kFloat},
                                                                   {DType::kF64, at::kDouble}}};

DType dtype_of(const at::Tensor& tensor) {
  for (const auto& [dtype, scalar] : kTypes)
    if (scalar == tensor.scalar_type()) return dtype;
  TORCH_CHECK(false, "no safetensors type for ", tensor.scalar_type());
}

at::ScalarType scalar_of(DType dtype) {
  for (const auto& [from, scalar] : kTypes)
    if (from == dtype) return scalar;
  TORCH_CHECK(false, "unknown element type");
}

}  // namespace

void save_tensors(const std::filesystem::path& path, const TensorMap& tensors,
                  const std::map<std::string, std::string>& metadata) {
  TensorMap held;  // keeps the contiguous CPU copies alive while they are written
  std::map<std::string, RawTensor> raw;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& flat = held[name] = tensor.detach().to(at::kCPU).contiguous();
    raw[name] = {dtype_of(flat),
                 flat.sizes().vec(),
                 {static_cast<const std::byte*>(flat.data_ptr()), flat.nbytes()}};
  }
  write_safetensors(path, raw, metadata);
}

TensorFile load_tensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  SafetensorsView view = parse_safetensors(file.bytes(), path.string());
  TensorFile loaded{{}, std::move(view.metadata)};
  for (const auto& [name, raw] : view.tensors) {
    at::Tensor tensor = at::empty(raw.shape, at::TensorOptions().dtype(scalar_of(raw.dtype)));
    if (!raw.bytes.empty()) std::memcpy(tensor.data_ptr(), raw.bytes.data(), raw.bytes.size());
    loaded.tensors[name] = tensor;
  }
  return loaded;
}

at::Tensor tensor_of(const TensorFile& file, const std::string& name, const std::string& path) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end())
    throw DataError::damaged(path, fmt::format("it has no tensor '{}'", name));
  return found->second;
}

}  // namespace retort
