#include "retort/io/tensor_file.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "io/safetensors.h"
#include "io/scalar_types.h"
#include "retort/core/error.h"

namespace retort {
void save_tensors(const std::filesystem::path& path, const TensorMap& tensors,
                  const std::map<std::string, std::string>& metadata) {
  TensorMap held;  // keeps the contiguous CPU copies alive while they are written
  std::map<std::string, RawTensor> raw;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& flat = held[name] = tensor.detach().to(at::kCPU).contiguous();
    raw[name] = {dtype_of(flat.scalar_type()),
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
    at::Tensor tensor = at::empty(raw.shape, at::TensorOptions().dtype(scalar_type_of(raw.dtype)));
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
