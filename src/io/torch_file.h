// PyTorch's .pt files: torch.save's zip form and the one from before 1.6 read without running code,
// the first written so that torch.load(weights_only=True) of 1.13 and 2.x reads it. The files are
// untrusted.
#pragma once

#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "io/pickle.h"

namespace retort {

struct TorchContent;

/// A .pt file as read: the tree of its pickle, and its tensors on demand.
class TorchFile {
 public:
  /// Reads the whole file; DataError where it is damaged.
  explicit TorchFile(const std::filesystem::path& path);

  const Pickle& root() const;
  /// Whether a value of the tree is a tensor or a parameter.
  static bool is_tensor(const Pickle& value);
  /// A contiguous CPU copy of a tensor or parameter; DataError where `value` is none, or where its
  /// sizes, strides or offset do not fit its storage.
  at::Tensor tensor(const Pickle& value) const;

 private:
  std::shared_ptr<const TorchContent> content_;
};

/// What save_torch_file can put under a key. Floats go as tensors: 1.13's restricted loader knows
/// no others.
using TorchValue = std::variant<at::Tensor, std::string, std::vector<std::string>>;

/// Writes a dictionary atomically, in the given order: same content, same bytes. Tensors of any
/// device.
void save_torch_file(const std::filesystem::path& path,
                     const std::vector<std::pair<std::string, TorchValue>>& entries);

/// What save_torch_list can put into a list: None, a number, whole numbers, a tensor.
using TorchItem = std::variant<std::monostate, double, std::vector<int64_t>, at::Tensor>;

/// The same of a list.
void save_torch_list(const std::filesystem::path& path, const std::vector<TorchItem>& items);

}  // namespace retort
