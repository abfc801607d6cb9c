// .pt files as published sets come: {'data': [[images, labels], ...]} of gradient and distribution
// matching, images_*.pt beside labels_*.pt of trajectory matching, plain dictionaries, and our own.
#include <fmt/format.h>

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

/// Takes a value into the table, if it is of a kind that importing uses.
void take(ImportedTable& table, const TorchFile& file, const std::string& name,
          const Pickle& value) {
  if (TorchFile::is_tensor(value)) {
    table.tensors[name] = file.tensor(value);
  } else if (value.is(Kind::kFloat) || value.is(Kind::kInt)) {
    const double number =
        value.is(Kind::kFloat) ? value.number : static_cast<double>(value.integer);
    table.tensors[name] = at::scalar_tensor(number, at::kDouble);
  } else if (value.is(Kind::kString)) {
    table.texts[name] = {value.text};
  } else if (is_list(value) && all_of_kind(value, Kind::kString)) {
    for (const auto& item : value.items) table.texts[name].push_back(item->text);
  } else if (is_list(value) && all_of_kind(value, Kind::kFloat)) {
    std::vector<double> numbers;
    for (const auto& item : value.items) numbers.push_back(item->number);
    table.tensors[name] = at::tensor(numbers, at::kDouble);
  }
}

ImportedTable pair_of(const TorchFile& file, const Pickle& pair, const std::string& path) {
  if (!is_list(pair) || pair.items.size() < 2 || !TorchFile::is_tensor(*pair.items[0]) ||
      !TorchFile::is_tensor(*pair.items[1]))
    refuse_import(path, "it holds no pair of images and labels");
  ImportedTable table;
  table.tensors["images"] = file.tensor(*pair.items[0]);
  table.tensors["labels"] = file.tensor(*pair.items[1]);
  return table;
}

ImportedTable experiment(const TorchFile& file, const Pickle& data, int64_t which,
                         const std::string& path) {
  const auto count = static_cast<int64_t>(data.items.size());
  if (which < 0 || which >= count)
    refuse_import(path,
                  fmt::format("experiment {} is asked, it holds {} (from 0 on)", which, count));
  return pair_of(file, *data.items[static_cast<size_t>(which)], path);
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
  table.tensors["images"] = file.tensor(file.root());
  const TorchFile label_file(labels);
  table.tensors["labels"] = label_file.tensor(label_file.root());
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
  if (data && is_list(*data)) return experiment(file, *data, which, path.string());
  ImportedTable table;
  for (const auto& [key, value] : root.entries)
    if (key->is(Kind::kString)) take(table, file, key->text, *value);
  return table;
}

}  // namespace retort::synthetic
