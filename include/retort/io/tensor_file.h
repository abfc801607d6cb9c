// safetensors files as torch tensors.
#pragma once

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>

namespace retort {

using TensorMap = std::map<std::string, at::Tensor>;

/// Tensors (CPU, contiguous copies) and metadata of one file.
struct TensorFile {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes atomically; tensors of any device. Same content, same bytes.
void save_tensors(const std::filesystem::path& path, const TensorMap& tensors,
                  const std::map<std::string, std::string>& metadata);

/// Reads a whole file; DataError where it is missing or damaged.
TensorFile load_tensors(const std::filesystem::path& path);

/// The tensor `name` of the file; DataError naming the file where it is absent.
at::Tensor tensor_of(const TensorFile& file, const std::string& name, const std::string& path);

}  // namespace retort
