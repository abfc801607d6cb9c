// .pt files as published sets come: {'data': [[images, labels], ...]} of gradient and distribution
// matching, images_*.pt beside labels_*.pt of trajectory matching, plain dictionaries, and our own.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "synthetic/import.h"

namespace retort::synthetic {
namespace {

using Kind = Pickle::Kind;

bool is_list(const Pickle& value) {
  return value.is(Kind::kList) || value.is(Kind::kTuple);
}

bool all_of_kind(const Pickle& list, Kind kind) {
  for (const auto& item : list.items)
    if (!item->is(kind)) return false;
  return !list.items.empty();
}

struct NumpyType {
  std::string_view name;
  at::ScalarType type;
};
constexpr NumpyType kNumpyTypes[] = {{"f2", at::kHalf}, {"f4", at::kFloat}, {"f8", at::kDouble},
                                     {"i1", at::kChar}, {"i2", at::kShort}, {"i4", at::kInt},
                                     {"i8", at::kLong}, {"u1", at::kByte}};

/// The element type of numpy.dtype("f4", ...), and whether its state (3, ">", ...) says big-endian;
/// nothing where it is another.
std::optional<at::ScalarType> numpy_type(const Pickle& dtype, bool& big_endian) {
  if (dtype.callee() != "numpy dtype" || dtype.items[1]->items.empty()) return {};
  const Pickle* state = dtype.items.size() > 2 ? dtype.items[2].get() : nullptr;
  big_endian = state && is_list(*state) && state->items.size() > 1 && state->items[1]->text == ">";
  std::string_view name = dtype.items[1]->items[0]->text;
  if (!name.empty() && (name[0] == '<' || name[0] == '|')) name.remove_prefix(1);
  for (const NumpyType& known : kNumpyTypes)
    if (known.name == name) return known.type;
  return {};
}

/// A NumPy array: _reconstruct with its state (version, shape, dtype, is_fortran, bytes).
at::Tensor numpy_array(const Pickle& value) {
  const bool array = value.callee() == "numpy.core.multiarray _reconstruct" ||
                     value.callee() == "numpy._core.multiarray _reconstruct";
  const Pickle* state = array && value.items.size() > 2 ? value.items[2].get() : nullptr;
  if (!state || !state->is(Kind::kTuple) || state->items.size() != 5) return {};
  bool big_endian = false;
  const auto type = numpy_type(*state->items[2], big_endian);
  if (!type || state->items[3]->integer != 0) return {};
  std::vector<int64_t> sizes;
  const std::string& bytes = state->items[4]->text;
  auto count = static_cast<int64_t>(c10::elementSize(*type));
  for (const auto& side : state->items[1]->items) {
    sizes.push_back(side->integer);
    if (side->integer < 0 || __builtin_mul_overflow(count, side->integer, &count)) return {};
  }
  if (count == 0 || count != std::ssize(bytes)) return {};
  at::Tensor tensor = at::empty(sizes, at::TensorOptions().dtype(*type));
  auto* data = static_cast<char*>(tensor.data_ptr());
  std::memcpy(data, bytes.data(), bytes.size());
  const auto width = static_cast<int64_t>(c10::elementSize(*type));
  for (int64_t at = 0; big_endian && at < count; at += width)
    std::reverse(data + at, data + at + width);
  return tensor;
}

/// Tensors, NumPy arrays, numbers, and lists of them, as one tensor; undefined for everything else.
at::Tensor tensor_of(const TorchFile& file, const Pickle& value) {
  if (TorchFile::is_tensor(value)) return file.tensor(value);
  if (value.is(Kind::kFloat)) return at::scalar_tensor(value.number, at::kDouble);
  if (value.is(Kind::kInt)) return at::scalar_tensor(value.integer, at::kLong);
  if (!is_list(value)) return numpy_array(value);
  constexpr uint64_t kMostBytes = uint64_t{4} << 30;  // items may be the same tensor many times
  std::vector<at::Tensor> parts;
  for (const auto& item : value.items) {
    if (is_list(*item)) return {};  // deeper lists are something else
    parts.push_back(tensor_of(file, *item));
    if (!parts.back().defined() || parts.back().sizes() != parts[0].sizes() ||
        parts.back().scalar_type() != parts[0].scalar_type() ||
        parts[0].nbytes() > kMostBytes / value.items.size())
      return {};
  }
  return parts.empty() ? at::Tensor() : at::stack(parts);
}

/// Takes a value into the table, if it is of a kind that importing uses.
void take(ImportedTable& table, const TorchFile& file, const std::string& name,
          const Pickle& value) {
  if (value.is(Kind::kString)) {
    table.texts[name] = {value.text};
  } else if (is_list(value) && all_of_kind(value, Kind::kString)) {
    for (const auto& item : value.items) table.texts[name].push_back(item->text);
  } else if (at::Tensor tensor = tensor_of(file, value); tensor.defined()) {
    // A single number is a rate; in float64, as it was.
    table.tensors[name] =
        tensor.dim() == 0 && value.is(Kind::kInt) ? tensor.to(at::kDouble) : tensor;
  }
}

ImportedTable pair_of(const TorchFile& file, const Pickle& pair, const std::string& path) {
  ImportedTable table;
  if (is_list(pair) && pair.items.size() >= 2) {
    table.tensors["images"] = tensor_of(file, *pair.items[0]);
    table.tensors["labels"] = tensor_of(file, *pair.items[1]);
  }
  for (const char* name : {"images", "labels"})
    if (!table.tensors[name].defined())
      refuse_import(path, "it holds no pair of images and labels");
  return table;
}

/// The values of a dictionary, and of those inside it, as far as the outer ones have not their
/// names.
void take_all(ImportedTable& table, const TorchFile& file, const Pickle& dictionary) {
  for (const auto& [key, value] : dictionary.entries)
    if (key->is(Kind::kString)) take(table, file, key->text, *value);
  for (const auto& [key, value] : dictionary.entries) {
    if (!value->is(Kind::kDict) && value->callee() != "collections OrderedDict") continue;
    ImportedTable inner;
    take_all(inner, file, *value);
    table.tensors.merge(inner.tensors);
    table.texts.merge(inner.texts);
  }
}

ImportedTable experiment(const TorchFile& file, const Pickle& data, int64_t which,
                         const std::string& path) {
  const auto count = std::ssize(data.items);
  if (which < 0 || which >= count)
    refuse_import(
        path, fmt::format("experiment {} was asked for, it holds {} (from 0 on)", which, count));
  return pair_of(file, *data.items[to_size(which)], path);
}

/// The file beside images_best.pt that is called PREFIX_best.pt.
std::filesystem::path sibling(const std::filesystem::path& path, const std::string& prefix) {
  std::string name = path.filename().string();
  return path.parent_path() / name.replace(0, std::string("images").size(), prefix);
}

ImportedTable images_beside_labels(const TorchFile& file, const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.rfind("images_zca", 0) == 0)
    refuse_import(path.string(),
                  "it holds images for display, with the whitening undone; import images_*.pt");
  if (name.rfind("images", 0) != 0)
    refuse_import(path.string(), "it holds one tensor and is not called images_*.pt");
  const std::filesystem::path labels = sibling(path, "labels");
  if (!std::filesystem::exists(labels))
    throw DataError::missing(labels.string(), "the labels beside '" + path.string() + "'");
  ImportedTable table;
  table.beside = true;
  table.tensors["images"] = file.tensor(file.root());
  const TorchFile label_file(labels);
  table.tensors["labels"] = tensor_of(label_file, label_file.root());
  if (!table.tensors["labels"].defined()) refuse_import(labels.string(), "it holds no labels");
  const std::filesystem::path rate = sibling(path, "lr");
  if (std::filesystem::exists(rate)) {
    const TorchFile rate_file(rate);
    take(table, rate_file, "student_learning_rate", rate_file.root());
  }
  return table;
}

}  // namespace

ImportedTable import_pt(const std::filesystem::path& path, int64_t which) {
  const TorchFile file(path);
  const Pickle& root = file.root();
  if (TorchFile::is_tensor(root)) return images_beside_labels(file, path);
  if (is_list(root)) return pair_of(file, root, path.string());
  if (!root.is(Kind::kDict) && root.callee() != "collections OrderedDict")
    refuse_import(path.string(), "it is neither a tensor, a list nor a dictionary");
  const Pickle* data = root.get("data");
  if (data && is_list(*data) && (data->items.empty() || is_list(*data->items[0])))
    return experiment(file, *data, which, path.string());
  ImportedTable table;
  take_all(table, file, root);
  return table;
}

}  // namespace retort::synthetic
