// Reading .pt: from 1.6 on a zip of a pickle and one member a storage. Tensors are calls of
// torch._utils' _rebuild_tensor_v2(storage, offset, size, stride, ...), storages are persistent
// identifiers
// ('storage', type, key, device, elements). No torch here.
#include "io/torch_content.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "core/sizes.h"
#include "io/archive_members.h"
#include "retort/core/error.h"

namespace retort {
namespace {

using Kind = Pickle::Kind;

constexpr uint64_t kMostBytes = uint64_t{16} << 30;
constexpr uint64_t kMostTree = uint64_t{512} << 20;  // of the pickle
constexpr std::string_view kData = "data/";          // where a zip keeps its storages
// Tensors may repeat elements of their storage (stride 0), up to this many.
constexpr int64_t kMostRepeated = int64_t{1} << 24;
constexpr size_t kMostDimensions = 32;

struct StorageRow {
  std::string_view name;
  DType type;
};
constexpr StorageRow kStorages[] = {
    {"torch FloatStorage", DType::kF32}, {"torch DoubleStorage", DType::kF64},
    {"torch HalfStorage", DType::kF16},  {"torch BFloat16Storage", DType::kBF16},
    {"torch LongStorage", DType::kI64},  {"torch IntStorage", DType::kI32},
    {"torch ShortStorage", DType::kI16}, {"torch CharStorage", DType::kI8},
    {"torch ByteStorage", DType::kU8},   {"torch BoolStorage", DType::kBool},
};

const StorageRow* storage_row(const Pickle& type) {
  for (const StorageRow& candidate : kStorages)
    if (type.is(Kind::kGlobal) && candidate.name == type.text) return &candidate;
  return nullptr;
}

// Of the form before 1.6: 0x1950a86a20f9469cfc6c, little-endian.
constexpr std::string_view kOldMagic{"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10};
constexpr int64_t kOldVersion = 1001;

/// Calls `found` with key, bytes of an element and number of elements of every storage that the
/// tree names. Reading has bounded the tree.
template <class Found>
void find_storages(const Pickle& value, const Found& found) {
  if (value.is(Kind::kPersistent) && value.items[0]->items.size() >= 5) {
    const auto& id = value.items[0]->items;
    if (const StorageRow* row = storage_row(*id[1]))
      found(id[2]->text, dtype_size(row->type), id[4]->integer);
  }
  for (const auto& item : value.items) find_storages(*item, found);
  for (const auto& [key, entry] : value.entries) find_storages(*entry, found);
}

/// The integers of a tuple or list, or nothing useful (`good` false).
std::vector<int64_t> integers(const Pickle& value, bool& good) {
  std::vector<int64_t> out;
  // torch.Size is sometimes kept as a call: Size((2, 3)).
  const bool size = value.callee() == "torch Size" && value.items[1]->items.size() == 1;
  const Pickle& list = size ? *value.items[1]->items[0] : value;
  good = list.is(Kind::kTuple) || list.is(Kind::kList);
  for (const auto& item : list.items) {
    good = good && item->is(Kind::kInt) && item->integer >= 0;
    out.push_back(item->integer);
  }
  return out;
}

/// Elements of a strided view, and whether all lie within `available`; -1 where they do not.
int64_t elements_within(int64_t offset, const std::vector<int64_t>& sizes,
                        const std::vector<int64_t>& strides, int64_t available) {
  int64_t count = 1, last = offset;
  bool overflow = false;
  for (size_t d = 0; d < sizes.size(); ++d) {
    int64_t reach = 0;
    overflow |= __builtin_mul_overflow(count, sizes[d], &count);
    overflow |= __builtin_mul_overflow(std::max<int64_t>(sizes[d] - 1, 0), strides[d], &reach);
    overflow |= __builtin_add_overflow(last, reach, &last);
  }
  if (overflow || offset > available) return -1;
  return count == 0 || last < available ? count : -1;
}

[[noreturn]] void refuse(const std::string& path, const std::string& found) {
  throw DataError::damaged(path, found, "a file written by torch.save");
}

// First the tree; then of the storages those that it names, each of the size that it gives.
void read_zip(std::string_view text, TorchContent& content) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(text.data()),
                                         text.size());
  const auto inner = [](const std::string& name) {
    const size_t slash = name.find('/');
    return slash == std::string::npos ? name : name.substr(slash + 1);
  };
  std::string pickle;
  read_members(
      bytes, content.path, kMostTree,
      [&](const std::string& name, std::string member) {
        if (inner(name) == "data.pkl")
          pickle = std::move(member);
        else if (member != "little")
          refuse(content.path, "its numbers are big-endian");
      },
      [&](const std::string& name, uint64_t) {
        return inner(name) == "data.pkl" || inner(name) == "byteorder";
      });
  if (pickle.empty()) refuse(content.path, "it has no data.pkl");
  content.root = read_pickle(pickle, content.path);
  std::map<std::string, uint64_t> sizes;
  find_storages(*content.root, [&](const std::string& key, size_t width, int64_t count) {
    const auto elements = to_size(std::max<int64_t>(count, 0));
    if (elements > kMostBytes / width)
      refuse(content.path, "the storage '" + key + "' is too large");
    sizes[key] = elements * width;
  });
  read_members(
      bytes, content.path, kMostBytes,
      [&](const std::string& name, std::string member) {
        content.storages[inner(name).substr(kData.size())] = std::move(member);
      },
      [&](const std::string& name, uint64_t size) {
        if (!inner(name).starts_with(kData)) return false;
        const std::string key = inner(name).substr(kData.size());
        const auto wanted = sizes.find(key);
        if (wanted != sizes.end() && wanted->second != size)
          refuse(content.path, fmt::format("the storage '{}' holds {} bytes where {} are declared",
                                           key, size, wanted->second));
        return wanted != sizes.end();
      });
}

// Pickles of a magic number, a version, the system, the tree and the storages' keys; then for each
// key the number of elements and the elements.
void read_old(std::string_view bytes, TorchContent& content) {
  const auto magic = take_pickle(bytes, content.path), version = take_pickle(bytes, content.path),
             system = take_pickle(bytes, content.path);
  if (!magic->is(Kind::kBytes) || magic->text != kOldMagic || version->integer != kOldVersion)
    refuse(content.path, "it begins as PyTorch's old form, and is none");
  const Pickle* little = system->get("little_endian");
  if (!little || little->integer != 1) refuse(content.path, "its numbers are big-endian");
  content.root = take_pickle(bytes, content.path);
  const auto keys = take_pickle(bytes, content.path);
  std::map<std::string, size_t> widths;
  find_storages(*content.root,
                [&](const std::string& key, size_t width, int64_t) { widths[key] = width; });
  for (const auto& key : keys->items) {
    const auto width = widths.find(key->text);
    uint64_t count = 0;
    if (width == widths.end())
      refuse(content.path, "the storage '" + key->text + "' is of no known type");
    if (bytes.size() < sizeof count)
      refuse(content.path, "it ends before the storage '" + key->text + "'");
    std::memcpy(&count, bytes.data(), sizeof count);
    bytes.remove_prefix(sizeof count);
    if (count > bytes.size() / width->second)
      refuse(content.path, "it ends inside the storage '" + key->text + "'");
    content.storages[key->text] = std::string(bytes.substr(0, count * width->second));
    bytes.remove_prefix(count * width->second);
  }
}

const std::string& storage_of(const TorchContent& content, const Pickle& value, DType& type) {
  const std::string& path = content.path;
  if (!value.is(Kind::kPersistent) || !value.items[0]->is(Kind::kTuple) ||
      value.items[0]->items.size() < 5)
    refuse(path, "a tensor has no storage");
  const auto& id = value.items[0]->items;
  const StorageRow* row = storage_row(*id[1]);
  if (!row) refuse(path, "a storage is of the unknown type '" + id[1]->text + "'");
  type = row->type;
  const auto found = content.storages.find(id[2]->text);
  if (found == content.storages.end()) refuse(path, "the storage '" + id[2]->text + "' is missing");
  const int64_t width = to_int64(dtype_size(type));
  const auto size = std::ssize(found->second);
  if (!id[4]->is(Kind::kInt) || size % width != 0 || id[4]->integer != size / width)
    refuse(path,
           fmt::format("the storage '{}' holds {} bytes where {} elements of {} bytes are declared",
                       found->first, size, id[4]->integer, width));
  return found->second;
}

}  // namespace

TorchContent read_torch_content(std::string_view bytes, const std::string& path) {
  TorchContent content{path, {}, {}};
  if (bytes.substr(0, 2) == "\x80\x02")
    read_old(bytes, content);
  else
    read_zip(bytes, content);
  return content;
}

bool is_stored_tensor(const Pickle& value) {
  const std::string_view name = value.callee();
  return name == "torch._utils _rebuild_tensor_v2" || name == "torch._utils _rebuild_tensor" ||
         name == "torch._utils _rebuild_parameter";
}

StoredTensor stored_tensor(const TorchContent& content, const Pickle& value) {
  const std::string& path = content.path;
  if (!is_stored_tensor(value)) refuse(path, "a tensor is wanted where there is another value");
  const auto& arguments = value.items[1]->items;
  if (value.callee() == "torch._utils _rebuild_parameter") {
    if (arguments.empty()) refuse(path, "a parameter has no tensor");
    return stored_tensor(content, *arguments[0]);
  }
  if (arguments.size() < 4) refuse(path, "a tensor is not well formed");
  StoredTensor tensor;
  const std::string& bytes = storage_of(content, *arguments[0], tensor.type);
  const size_t width = dtype_size(tensor.type);
  const int64_t available = to_int64(bytes.size() / width);
  bool sizes_good = false, strides_good = false;
  tensor.sizes = integers(*arguments[2], sizes_good);
  tensor.strides = integers(*arguments[3], strides_good);
  const int64_t offset = arguments[1]->integer;
  if (!sizes_good || !strides_good || tensor.sizes.size() != tensor.strides.size() ||
      tensor.sizes.size() > kMostDimensions || !arguments[1]->is(Kind::kInt) || offset < 0)
    refuse(path, "a tensor has sizes, strides or an offset that are not numbers from 0 on");
  tensor.count = elements_within(offset, tensor.sizes, tensor.strides, available);
  if (tensor.count < 0)
    refuse(path, fmt::format("a tensor of shape [{}] lies outside its storage of {} elements",
                             fmt::join(tensor.sizes, ", "), available));
  if (tensor.count > std::max(available, kMostRepeated))
    refuse(path, fmt::format("a tensor of shape [{}] repeats its {} elements too often",
                             fmt::join(tensor.sizes, ", "), available));
  tensor.data = bytes.data() + to_size(offset) * width;
  return tensor;
}

}  // namespace retort
