// Writing .pt as torch.save does: members archive/data.pkl (protocol 2), archive/byteorder,
// archive/data/0 ..., archive/version. Only instructions that 1.13's restricted loader knows.
#include <bit>

#include "io/archive.h"
#include "io/torch_file.h"
#include "retort/core/error.h"

namespace retort {
namespace {

using namespace std::string_literals;

std::string little_endian(uint64_t value, size_t width) {
  std::string out;
  for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

std::string text(const std::string& value) {
  return "X" + little_endian(value.size(), 4) + value;
}

std::string integer(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  return bits < uint64_t{1} << 31 ? "J" + little_endian(bits, 4)
                                  : "\x8a\x08" + little_endian(bits, 8);
}

std::string tuple(at::IntArrayRef values) {
  std::string out = "(";
  for (const int64_t value : values) out += integer(value);
  return out + "t";
}

std::string storage_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "FloatStorage";
    case at::kDouble:
      return "DoubleStorage";
    case at::kLong:
      return "LongStorage";
    case at::kByte:
      return "ByteStorage";
    case at::kHalf:
      return "HalfStorage";
    case at::kBool:
      return "BoolStorage";
    default:
      TORCH_CHECK(false, "no .pt storage is written for ", type);
  }
}

/// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks) of a contiguous tensor.
std::string tensor(const at::Tensor& value, const std::string& key) {
  std::string out = "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
                    storage_name(value.scalar_type()) + "\n" + text(key) + text("cpu") +
                    integer(value.numel()) + "tQ";
  out += integer(0) + tuple(value.sizes()) + tuple(value.strides());
  return out + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

std::string number(double value) {
  std::string bytes = little_endian(std::bit_cast<uint64_t>(value), 8);
  return "G" + std::string(bytes.rbegin(), bytes.rend());
}

/// Members of the storages of tensors, in the order in which these are pickled.
class Storages {
 public:
  std::string add(const at::Tensor& value) {
    const at::Tensor held = value.detach().to(at::kCPU).contiguous();
    const std::string key = std::to_string(members_.size());
    members_.emplace_back("archive/data/" + key,
                          std::string(static_cast<const char*>(held.data_ptr()), held.nbytes()));
    return tensor(held, key);
  }
  void write(const std::filesystem::path& path, const std::string& pickle) {
    std::vector<std::pair<std::string, std::string>> members = {{"archive/data.pkl", pickle},
                                                                {"archive/byteorder", "little"}};
    for (auto& storage : members_) members.push_back(std::move(storage));
    members.emplace_back("archive/version", "3\n");
    write_stored_zip(path, members);
  }

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

std::string item(const TorchItem& value, Storages& storages) {
  if (const auto* single = std::get_if<double>(&value)) return number(*single);
  if (const auto* held = std::get_if<at::Tensor>(&value)) return storages.add(*held);
  const auto* list = std::get_if<std::vector<int64_t>>(&value);
  if (!list) return "N";
  std::string out = "](";
  for (const int64_t whole : *list) out += integer(whole);
  return out + "e";
}

}  // namespace

void save_torch_list(const std::filesystem::path& path, const std::vector<TorchItem>& items) {
  Storages storages;
  std::string pickle = "\x80\x02](";
  for (const TorchItem& one : items) pickle += item(one, storages);
  storages.write(path, pickle + "e.");
}

void save_torch_file(const std::filesystem::path& path,
                     const std::vector<std::pair<std::string, TorchValue>>& entries) {
  Storages storages;
  std::string pickle = "\x80\x02}(";
  for (const auto& [name, value] : entries) {
    pickle += text(name);
    if (const auto* single = std::get_if<std::string>(&value)) {
      pickle += text(*single);
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
      pickle += "](";
      for (const std::string& word : *list) pickle += text(word);
      pickle += "e";
    } else {
      pickle += storages.add(std::get<at::Tensor>(value));
    }
  }
  storages.write(path, pickle + "u.");
}

}  // namespace retort
