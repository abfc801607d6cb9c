// Parsing and writing safetensors. No torch here.
#include "io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/sizes.h"
#include "io/content_hash.h"
#include "io/shape_bytes.h"
#include "retort/core/error.h"

namespace retort {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t size;
};
constexpr std::array<DTypeRow, 10> kDTypes{{{DType::kBool, "BOOL", 1},
                                            {DType::kU8, "U8", 1},
                                            {DType::kI8, "I8", 1},
                                            {DType::kI16, "I16", 2},
                                            {DType::kI32, "I32", 4},
                                            {DType::kI64, "I64", 8},
                                            {DType::kF16, "F16", 2},
                                            {DType::kBF16, "BF16", 2},
                                            {DType::kF32, "F32", 4},
                                            {DType::kF64, "F64", 8}}};
constexpr uint64_t kMaxHeader = 100'000'000;

const DTypeRow& row_of(DType dtype) {
  return *std::find_if(kDTypes.begin(), kDTypes.end(),
                       [&](auto& row) { return row.dtype == dtype; });
}

/// The tensor that one header entry describes; `data` is the part of the file after the header.
RawTensor parse_entry(const std::string& name, const nlohmann::json& entry,
                      std::span<const std::byte> data, const std::string& path) {
  auto damaged = [&](const std::string& what) {
    return DataError::damaged(path, fmt::format("tensor '{}': {}", name, what));
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !entry["shape"].is_array() || !entry.contains("data_offsets") ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    throw damaged("its header entry lacks dtype, shape or data_offsets");
  const std::string dtype = entry["dtype"];
  const auto row =
      std::find_if(kDTypes.begin(), kDTypes.end(), [&](auto& r) { return r.name == dtype; });
  if (row == kDTypes.end()) throw damaged("unknown element type '" + dtype + "'");
  RawTensor tensor{row->dtype, {}, {}};
  uint64_t count = row->size;
  for (const auto& side : entry["shape"]) {
    if (!side.is_number_unsigned()) throw damaged("its shape has a part that is not a count");
    const uint64_t length = side;
    if (length > (uint64_t{1} << 48) || (length > 0 && count > (uint64_t{1} << 60) / length))
      throw damaged("its shape is too large");
    count *= length;
    tensor.shape.push_back(to_int64(length));
  }
  const auto& offsets = entry["data_offsets"];
  if (!offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
    throw damaged("its offsets are not counts");
  const uint64_t begin = offsets[0], end = offsets[1];
  if (begin > end || end > data.size())
    throw damaged(fmt::format("its bytes {}..{} lie outside the file ({} bytes of data)", begin,
                              end, data.size()));
  if (end - begin != count)
    throw damaged(
        fmt::format("its shape asks for {} bytes, its offsets give {}", count, end - begin));
  tensor.bytes = data.subspan(begin, count);
  return tensor;
}

}  // namespace

size_t dtype_size(DType dtype) {
  return row_of(dtype).size;
}
std::string_view dtype_name(DType dtype) {
  return row_of(dtype).name;
}

namespace {

/// A JSON object where the first key that stands twice in one of its tables is told apart: a
/// parser would keep either of the two.
nlohmann::json parse_header(std::string_view text, const std::string& path) {
  std::vector<std::set<std::string>> tables;
  const auto callbacks = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) tables.emplace_back();
    if (event == Event::object_end && !tables.empty()) tables.pop_back();
    if (event == Event::key && !tables.empty() &&
        !tables.back().insert(value.get<std::string>()).second)
      throw DataError::damaged(path, "its header has '" + value.get<std::string>() + "' twice",
                               "a safetensors file");
    return true;
  };
  const auto header = nlohmann::json::parse(text.begin(), text.end(), callbacks, false);
  if (!header.is_object())
    throw DataError::damaged(path, "its header is not JSON", "a safetensors file");
  return header;
}

/// Tensors must lie one behind the other, from the first byte of data to the last.
void require_whole(const SafetensorsView& view, std::span<const std::byte> data,
                   const std::string& path) {
  std::vector<std::pair<size_t, const std::string*>> begins;
  for (const auto& [name, tensor] : view.tensors)
    if (!tensor.bytes.empty())
      begins.emplace_back(to_size(tensor.bytes.data() - data.data()), &name);
  std::sort(begins.begin(), begins.end());
  size_t reached = 0;
  for (const auto& [begin, name] : begins) {
    if (begin != reached)
      throw DataError::damaged(
          path,
          fmt::format(
              "tensor '{}' begins at byte {} of the data, {} at byte {}", *name, begin,
              begin < reached ? "inside the one before, which ends" : "behind one that ends",
              reached),
          "a safetensors file, whose tensors lie one behind the other");
    reached = begin + view.tensors.at(*name).bytes.size();
  }
  if (reached != data.size())
    throw DataError::damaged(path,
                             fmt::format("{} bytes follow its last tensor", data.size() - reached),
                             "a safetensors file, whose tensors reach to its end");
}

}  // namespace

SafetensorsView parse_safetensors(std::span<const std::byte> bytes, const std::string& path) {
  if (bytes.size() < 8)
    throw DataError::wrong_size(path, std::ssize(bytes), 8, "the header's length");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8)
    throw DataError::damaged(
        path, fmt::format("its header claims {} bytes, the file holds {}", length, bytes.size()),
        "a safetensors file");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), 8 + length);
  const nlohmann::json header = parse_header(text.substr(8), path);
  const std::span<const std::byte> data = bytes.subspan(8 + length);
  SafetensorsView view;
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      view.tensors[name] = parse_entry(name, entry, data, path);
      continue;
    }
    if (!entry.is_object()) throw DataError::damaged(path, "its metadata is not a table of texts");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) throw DataError::damaged(path, "metadata '" + key + "' is not text");
      view.metadata[key] = value.get<std::string>();
    }
  }
  require_whole(view, data, path);
  require_content(text, view, path);
  return view;
}

uint64_t bytes_by_shape(const RawTensor& tensor) {
  uint64_t size = dtype_size(tensor.dtype);
  for (const int64_t side : tensor.shape) size *= to_size(side);
  return size;
}

std::string safetensors_header(const std::map<std::string, RawTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  header["__metadata__"] = metadata;
  header["__metadata__"][std::string(kContentHash)] = std::string(16, '0');
  uint64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t size = bytes_by_shape(tensor);
    header[name] = {{"dtype", dtype_name(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"data_offsets", {at, at + size}}};
    at += size;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, RawTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = sealed_header(safetensors_header(tensors, metadata), tensors);
  write_atomically(path, [&](const Sink& sink) {
    sink(header.data(), header.size());
    for (const auto& [name, tensor] : tensors) sink(tensor.bytes.data(), tensor.bytes.size());
  });
}

}  // namespace retort
