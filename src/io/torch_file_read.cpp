// Tensors of .pt files that were read.
#include "core/file.h"
#include "io/scalar_types.h"
#include "io/torch_content.h"
#include "io/torch_file.h"

namespace retort {
namespace {

TorchContent content_of(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return read_torch_content({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                            path.string());
}

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path)
    : content_(std::make_shared<const TorchContent>(content_of(path))) {}

const Pickle& TorchFile::root() const {
  return *content_->root;
}

bool TorchFile::is_tensor(const Pickle& value) {
  return is_stored_tensor(value);
}

at::Tensor TorchFile::tensor(const Pickle& value) const {
  const StoredTensor stored = stored_tensor(*content_, value);
  const at::ScalarType type = scalar_type_of(stored.type);
  if (stored.count == 0) return at::empty(stored.sizes, at::TensorOptions().dtype(type));
  // Bytes other than 0 and 1 are no valid bool: they are read as numbers first.
  const at::ScalarType read_as = type == at::kBool ? at::kByte : type;
  const at::Tensor view = at::from_blob(const_cast<char*>(stored.data), stored.sizes,
                                        stored.strides, at::TensorOptions().dtype(read_as));
  const at::Tensor copy = view.clone(at::MemoryFormat::Contiguous);
  return type == at::kBool ? copy.ne(0) : copy;
}

}  // namespace retort
