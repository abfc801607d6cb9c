// Writing .pt as torch.save does: members archive/data.pkl (protocol 2), archive/byteorder,
// archive/data/0 ..., archive/version. Only instructions that 1.13's restricted loader knows.
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

}  // namespace

void save_torch_file(const std::filesystem::path& path,
                     const std::vector<std::pair<std::string, TorchValue>>& entries) {
  std::vector<std::pair<std::string, std::string>> storages;
  std::string pickle = "\x80\x02}(";
  for (const auto& [name, value] : entries) {
    pickle += text(name);
    if (const auto* single = std::get_if<std::string>(&value)) {
      pickle += text(*single);
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
      pickle += "](";
      for (const std::string& item : *list) pickle += text(item);
      pickle += "e";
    } else {
      const at::Tensor held = std::get<at::Tensor>(value).detach().to(at::kCPU).contiguous();
      const std::string key = std::to_string(storages.size());
      pickle += tensor(held, key);
      storages.emplace_back("archive/data/" + key,
                            std::string(static_cast<const char*>(held.data_ptr()), held.nbytes()));
    }
  }
  pickle += "u.";
  std::vector<std::pair<std::string, std::string>> members = {{"archive/data.pkl", pickle},
                                                              {"archive/byteorder", "little"}};
  for (auto& storage : storages) members.push_back(std::move(storage));
  members.emplace_back("archive/version", "3\n");
  write_stored_zip(path, members);
}

}  // namespace retort
