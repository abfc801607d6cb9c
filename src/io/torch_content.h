// What lies in a .pt file, before libtorch makes tensors of it. Untrusted. No torch here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/pickle.h"
#include "io/safetensors.h"

namespace retort {

/// The tree of the pickle, and the bytes of the storages that it names by their keys: "0", "1", ...
struct TorchContent {
  std::string path;  ///< for messages
  std::shared_ptr<Pickle> root;
  std::map<std::string, std::string> storages;
};

/// A tensor where it lies: all its elements are within the storage.
struct StoredTensor {
  DType type = DType::kF32;
  std::vector<int64_t> sizes, strides;
  const char* data = nullptr;
  int64_t count = 0;  ///< elements
};

/// Reads the bytes of a whole file of either form; DataError where it is damaged.
TorchContent read_torch_content(std::string_view bytes, const std::string& path);

/// Whether a value of the tree is a tensor or a parameter.
bool is_stored_tensor(const Pickle& value);

/// Where a tensor or parameter of the tree lies; DataError where `value` is none, or where its
/// sizes, strides or offset do not fit its storage. `content` must outlive it.
StoredTensor stored_tensor(const TorchContent& content, const Pickle& value);

}  // namespace retort
