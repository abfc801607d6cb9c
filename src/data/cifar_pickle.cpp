// A batch is a pickled dictionary: b'data' a NumPy array uint8 [N, 3072], b'labels' (or
// b'fine_labels' and b'coarse_labels') a list of integers. The published files are protocol 2
// pickles of Python 2, with the array
// as numpy's _reconstruct and the bytes in its state, and Python 3 writes the same. No torch here.
#include "data/cifar_pickle.h"

#include "core/file.h"
#include "core/sizes.h"
#include "data/layouts.h"
#include "io/pickle.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

using Kind = Pickle::Kind;
constexpr uint64_t kLimit = uint64_t{1} << 30;

const Pickle& entry(const Pickle& dictionary, std::string_view key, Kind kind,
                    std::string_view accepted, const std::string& path) {
  const std::string name(key);
  const Pickle* value = dictionary.is(Kind::kDict) ? dictionary.get(name) : nullptr;
  if (!value || !value->is(kind))
    throw DataError::damaged(path, "no " + std::string(accepted) + " under '" + name + "'",
                             "a pickled dictionary as CIFAR's Python version has it");
  return *value;
}

bool is_byte_type(const Pickle& value) {
  if (!value.is(Kind::kCall) || value.callee() != "numpy dtype" || value.items.size() < 2 ||
      value.items[1]->items.empty())
    return false;
  const Pickle& name = *value.items[1]->items[0];
  return name.text == "u1" || name.text == "|u1" || name.text == "uint8";
}

// The bytes of numpy's _reconstruct with its state (version, shape, dtype, is_fortran, bytes).
const std::string& image_rows(const Pickle& array, int64_t records, const std::string& path) {
  const bool rebuilt = array.callee() == "numpy.core.multiarray _reconstruct" ||
                       array.callee() == "numpy._core.multiarray _reconstruct";
  const Pickle* state = rebuilt && array.items.size() > 2 ? array.items[2].get() : nullptr;
  if (!state || !state->is(Kind::kTuple) || state->items.size() != 5 ||
      !is_byte_type(*state->items[2]))
    throw DataError::damaged(path, "'data' is not a NumPy array of uint8",
                             "an array uint8 [N, 3072]");
  if (state->items[3]->integer != 0)
    throw DataError::damaged(path, "'data' is in Fortran order", "C order");
  const std::string& bytes = state->items[4]->text;
  if (std::ssize(bytes) != records * kCifarImageBytes)
    throw DataError::wrong_size(path, std::ssize(bytes), records * kCifarImageBytes,
                                "pixels of " + std::to_string(records) + " labelled images");
  return bytes;
}

std::optional<fs::path> find_cifar10(const fs::path& folder) {
  return folder_holding(folder, {"", "cifar-10-batches-py"},
                        {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                         "data_batch_5", "test_batch", "batches.meta"});
}

// "train" and "test" are also common names of folders: two of the three files must be there.
std::optional<fs::path> find_cifar100(const fs::path& folder) {
  std::error_code ignored;
  for (const char* sub : {"", "cifar-100-python"}) {
    const fs::path candidate = *sub ? folder / sub : folder;
    int found = 0;
    for (const char* file : {"train", "test", "meta"})
      found += fs::is_regular_file(candidate / file, ignored);
    if (found >= 2) return candidate;
  }
  return std::nullopt;
}

void read_part(const fs::path& file, CifarLabels labels, const std::string& layout,
               RawImages& out) {
  require_file(file, layout);
  parse_cifar_pickle(read_file(file, kLimit), file.string(), labels, out);
}

RawDataset read_cifar10(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_cifar10(path);
  const std::string layout = "CIFAR-10 Python pickles";
  const fs::path meta = folder / "batches.meta";
  require_file(meta, layout);
  RawDataset raw =
      empty_cifar(CifarLabels::kTen, layout,
                  parse_cifar_meta(read_file(meta, kLimit), meta.string(), "label_names"));
  if (raw.class_names.size() != 10)
    throw DataError::damaged(meta.string(), std::to_string(raw.class_names.size()) + " class names",
                             "10 names");
  raw.train.pixels.reserve(50000 * kCifarImageBytes);
  for (int i = 1; i <= 5; ++i)
    read_part(folder / ("data_batch_" + std::to_string(i)), CifarLabels::kTen, layout, raw.train);
  read_part(folder / "test_batch", CifarLabels::kTen, layout, raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

RawDataset read_cifar100(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_cifar100(path);
  const std::string layout = "CIFAR-100 Python pickles";
  const bool coarse = options.coarse_labels;
  const CifarLabels labels = coarse ? CifarLabels::kCoarse : CifarLabels::kFine;
  const fs::path meta = folder / "meta";
  require_file(meta, layout);
  RawDataset raw =
      empty_cifar(labels, layout,
                  parse_cifar_meta(read_file(meta, kLimit), meta.string(),
                                   coarse ? "coarse_label_names" : "fine_label_names"));
  if (raw.class_names.size() != (coarse ? 20 : 100))
    throw DataError::damaged(meta.string(), std::to_string(raw.class_names.size()) + " class names",
                             coarse ? "20 names" : "100 names");
  raw.train.pixels.reserve(50000 * kCifarImageBytes);
  read_part(folder / "train", labels, layout, raw.train);
  read_part(folder / "test", labels, layout, raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

void parse_cifar_pickle(std::string_view bytes, const std::string& path, CifarLabels labels,
                        RawImages& out) {
  const std::shared_ptr<Pickle> batch = read_pickle(bytes, path);
  const std::string key = labels == CifarLabels::kTen    ? "labels"
                          : labels == CifarLabels::kFine ? "fine_labels"
                                                         : "coarse_labels";
  const int64_t last = labels == CifarLabels::kTen ? 9 : labels == CifarLabels::kFine ? 99 : 19;
  const Pickle& list = entry(*batch, key, Kind::kList, "list of labels", path);
  const Pickle& data = entry(*batch, "data", Kind::kCall, "array of pixels", path);
  const std::string& rows = image_rows(data, std::ssize(list.items), path);
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (!list.items[i]->is(Kind::kInt))
      throw DataError::damaged(path,
                               "the label of record " + std::to_string(i) + " is not an integer");
    check_label(list.items[i]->integer, 0, last, path, to_int64(i));
    out.labels.push_back(list.items[i]->integer);
  }
  out.pixels.insert(out.pixels.end(), rows.begin(), rows.end());
}

std::vector<std::string> parse_cifar_meta(std::string_view bytes, const std::string& path,
                                          const std::string& key) {
  const std::shared_ptr<Pickle> meta = read_pickle(bytes, path);
  std::vector<std::string> names;
  for (const auto& item : entry(*meta, key, Kind::kList, "list of class names", path).items)
    names.push_back(item->text);
  return names;
}

Reader cifar10_pickle_reader() {
  return {"cifar10-python",
          "CIFAR-10 Python: batches.meta, data_batch_1 to data_batch_5 and test_batch",
          [](const fs::path& folder) { return find_cifar10(folder).has_value(); }, read_cifar10};
}

Reader cifar100_pickle_reader() {
  return {"cifar100-python", "CIFAR-100 Python: meta, train and test",
          [](const fs::path& folder) { return find_cifar100(folder).has_value(); }, read_cifar100};
}

}  // namespace retort::data
