// The MNIST family: four idx files, images [N, H, W] and labels [N], plain or .gz. No torch here.
#include "data/idx.h"

#include <algorithm>
#include <map>

#include "core/bytes.h"
#include "core/file.h"
#include "core/sizes.h"
#include "data/idx_sets.h"
#include "data/layouts.h"
#include "io/archive_members.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

/// `type` and `width` of one number: 8 and 1 for unsigned bytes, 12 and 4 for integers.
IdxArray parse(std::string_view bytes, const std::string& path, size_t dimensions, int type,
               int64_t width) {
  const auto* head = reinterpret_cast<const uint8_t*>(bytes.data());
  const size_t head_bytes = 4 + 4 * dimensions;
  if (bytes.size() < head_bytes)
    throw DataError::wrong_size(path, std::ssize(bytes), to_int64(head_bytes), "the header");
  if (head[0] != 0 || head[1] != 0 || head[2] != type || head[3] != dimensions)
    throw DataError::damaged(path, "the first four bytes are not those of an idx file",
                             std::string(type == 8 ? "unsigned bytes" : "integers") + " in " +
                                 std::to_string(dimensions) + " dimensions");
  IdxArray array;
  int64_t total = width;
  for (size_t d = 0; d < dimensions; ++d) {
    array.shape.push_back(to_int64(big_endian(bytes.substr(4 + 4 * d, 4))));
    if (array.shape.back() < 1 || __builtin_mul_overflow(total, array.shape.back(), &total))
      throw DataError::damaged(path, "size " + std::to_string(array.shape.back()) +
                                         " in dimension " + std::to_string(d));
  }
  array.data = bytes.substr(head_bytes);
  if (std::ssize(array.data) != total)
    throw DataError::wrong_size(path, std::ssize(array.data), total, "values after the header");
  return array;
}

}  // namespace

IdxArray parse_idx(std::string_view bytes, const std::string& path, size_t dimensions) {
  return parse(bytes, path, dimensions, 8, 1);
}

std::vector<int64_t> parse_idx_labels(std::string_view bytes, const std::string& path) {
  std::vector<int64_t> labels;
  if (bytes.size() < 3 || bytes[2] != 12) {
    for (const char label : parse_idx(bytes, path, 1).data)
      labels.push_back(static_cast<uint8_t>(label));
    return labels;
  }
  const IdxArray table = parse(bytes, path, 2, 12, 4);
  const size_t row = 4 * to_size(table.shape[1]);
  for (size_t at = 0; at < table.data.size(); at += row)
    labels.push_back(static_cast<int32_t>(big_endian(table.data.substr(at, 4))));
  return labels;
}

namespace {

constexpr uint64_t kLimit = uint64_t{4} << 30;
const char* const kFolders[] = {
    "", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "QMNIST/raw", "EMNIST/raw", "raw", "gzip"};

/// The four files of one set; those that are not there are empty.
struct IdxFiles {
  fs::path train_images, train_labels, test_images, test_labels;
};

struct IdxName {
  std::string prefix;  ///< "emnist-letters-"; empty for MNIST's own names
  fs::path IdxFiles::*place;
};

/// "PREFIXtrain-images-idx3-ubyte" and its kin, with dots for dashes and .gz where there is one.
std::optional<IdxName> parse_name(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  static constexpr std::pair<const char*, fs::path IdxFiles::*> kParts[] = {
      {"train-images", &IdxFiles::train_images}, {"train-labels", &IdxFiles::train_labels},
      {"t10k-images", &IdxFiles::test_images},   {"t10k-labels", &IdxFiles::test_labels},
      {"test-images", &IdxFiles::test_images},   {"test-labels", &IdxFiles::test_labels}};
  for (const auto& [part, place] : kParts) {
    const size_t at = name.find(part);
    if (at == std::string::npos || (at > 0 && name[at - 1] != '-')) continue;
    const std::string ending = name.substr(at + std::string(part).size());
    const bool images = place == &IdxFiles::train_images || place == &IdxFiles::test_images;
    for (const char* dash : {"-", "."})
      for (const char* rest : {"idx3-ubyte", "idx1-ubyte", "idx2-int"})
        if (ending == std::string(dash) + rest && images == (rest[3] == '3'))
          return IdxName{name.substr(0, at), place};
  }
  return std::nullopt;
}

/// The sets of one folder by the prefix of their names; plain files go before .gz.
std::map<std::string, IdxFiles> sets_in(const fs::path& folder) {
  std::map<std::string, IdxFiles> sets;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto name = parse_name(entry.path().filename().string());
    if (!name || !entry.is_regular_file(ignored)) continue;
    fs::path& place = sets[name->prefix].*name->place;
    if (place.empty() || place.extension() == ".gz") place = entry.path();
  }
  return sets;
}

/// The folders below `path` that hold such files, as kFolders has them.
std::vector<std::string> idx_folders(const fs::path& path) {
  std::vector<std::string> found;
  for (const char* sub : kFolders)
    if (!sets_in(*sub ? path / sub : path).empty()) found.emplace_back(sub);
  return found;
}

bool recognises(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return parse_name(path.filename().string()).has_value();
  return !idx_folders(path).empty();
}

/// The bytes of a whole file by its header.
uint64_t size_by_header(std::string_view start, const std::string& path) {
  const auto* head = reinterpret_cast<const uint8_t*>(start.data());
  constexpr size_t kLeast = 8;  // one dimension
  if (start.size() < kLeast)
    throw DataError::wrong_size(path, std::ssize(start), kLeast, "the header");
  const size_t header = 4 + 4 * size_t{head[3]};
  if (start.size() < header || head[0] != 0 || head[1] != 0)
    throw DataError::damaged(path, "the first four bytes are not those of an idx file");
  uint64_t total = head[2] < 10 ? 1 : head[2] < 12 ? 2 : head[2] < 14 ? 4 : 8;  // of a number
  for (size_t at = 4; at < header; at += 4) {
    if (__builtin_mul_overflow(total, big_endian(start.substr(at, 4)), &total))
      throw DataError::damaged(path, "its header has sizes that overflow");
  }
  return header + total;
}

std::string bytes_of(const fs::path& file) {
  return file.extension() == ".gz" ? read_gzip_of(file, kLimit, size_by_header)
                                   : read_file(file, kLimit);
}

void read_part(const fs::path& image_file, const fs::path& label_file, RawDataset& raw,
               RawImages& out) {
  const std::string image_bytes = bytes_of(image_file), label_bytes = bytes_of(label_file);
  const IdxArray images = parse_idx(image_bytes, image_file.string(), 3);
  out.labels = parse_idx_labels(label_bytes, label_file.string());
  if (images.shape[0] != out.size())
    throw DataError::damaged(label_file.string(), std::to_string(out.size()) + " labels for " +
                                                      std::to_string(images.shape[0]) + " images");
  if (raw.height == 0) {
    raw.height = images.shape[1];
    raw.width = images.shape[2];
  }
  if (images.shape[1] != raw.height || images.shape[2] != raw.width)
    throw DataError::damaged(image_file.string(),
                             "images of " + std::to_string(images.shape[1]) + " x " +
                                 std::to_string(images.shape[2]) + ", unlike the training part",
                             std::to_string(raw.height) + " x " + std::to_string(raw.width));
  out.pixels.assign(images.data.begin(), images.data.end());
}

/// Labels from 0 on; where they count from 1, as EMNIST's letters do, from there.
int64_t renumber(RawDataset& raw, const IdxFiles& files) {
  const auto [low, high] = std::minmax_element(raw.train.labels.begin(), raw.train.labels.end());
  const int64_t first = *low == 1 ? 1 : 0, last = *high;
  for (const auto& [part, file] :
       {std::pair(&raw.train, &files.train_labels), std::pair(&raw.test, &files.test_labels)})
    for (size_t i = 0; i < part->labels.size(); ++i) {
      if (part->labels[i] < first || part->labels[i] > last)
        throw DataError(
            {"reading '" + file->string() + "'",
             "label " + std::to_string(part->labels[i]) + " in record " + std::to_string(i),
             "labels of " + std::to_string(first) + " to " + std::to_string(last) +
                 ", as the training part has them",
             "put files of one set together"});
      part->labels[i] -= first;
    }
  if (first == 1) raw.notes.push_back("labels count from 1: class '1' has index 0");
  for (int64_t label = first; label <= last; ++label)
    raw.class_names.push_back(std::to_string(label));
  return first;
}

/// The set that the path means, and a word on those beside it.
IdxFiles choose_files(const fs::path& path, fs::path& folder, std::string& prefix,
                      std::vector<std::string>& notes) {
  folder = path;
  std::optional<std::string> wanted;
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) {
    folder = fs::absolute(path).parent_path();
    wanted = parse_name(path.filename().string())->prefix;
  } else {
    const std::vector<std::string> folders = idx_folders(path);
    if (!folders[0].empty()) folder = path / folders[0];
    for (size_t i = 1; i < folders.size(); ++i)
      notes.push_back((folders[0].empty() ? std::string("the files of the folder itself are")
                                          : folders[0] + "/ is") +
                      " read; " + folders[i] + "/ is there too: point to it to have it read");
  }
  const auto sets = sets_in(folder);
  if (!wanted && sets.size() > 1) {
    std::string names;
    for (const auto& [name, files] : sets)
      names += (names.empty() ? "'" : ", '") + name + "train-images...'";
    throw DataError({"reading '" + folder.string() + "'",
                     std::to_string(sets.size()) + " sets lie there: " + names, "one of them",
                     "point to one of its files"});
  }
  prefix = wanted ? *wanted : sets.begin()->first;
  return sets.at(prefix);
}

RawDataset read_idx(const fs::path& path, const ReadOptions& options) {
  RawDataset raw;
  raw.reader = "MNIST-family idx files";
  raw.channels = 1;
  fs::path folder;
  std::string prefix;
  const IdxFiles files = choose_files(path, folder, prefix, raw.notes);
  const std::pair<const fs::path*, const char*> needed[] = {
      {&files.train_images, "train-images-idx3-ubyte"},
      {&files.train_labels, "train-labels-idx1-ubyte"},
      {&files.test_images, prefix.empty() ? "t10k-images-idx3-ubyte" : "test-images-idx3-ubyte"},
      {&files.test_labels, prefix.empty() ? "t10k-labels-idx1-ubyte" : "test-labels-idx1-ubyte"}};
  for (const auto& [file, name] : needed)
    if (file->empty()) require_file(folder / (prefix + name), raw.reader);
  read_part(files.train_images, files.train_labels, raw, raw.train);
  read_part(files.test_images, files.test_labels, raw, raw.test);
  const bool from_one = renumber(raw, files) == 1;
  const fs::path whole = fs::weakly_canonical(folder);
  name_idx_set(raw, prefix, folder_name(whole.filename() == "raw" ? whole.parent_path() : whole),
               from_one);
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

Reader idx_reader() {
  return {"idx",
          "MNIST family: {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, plain "
          "or .gz; EMNIST's and QMNIST's names too",
          recognises, read_idx};
}

}  // namespace retort::data
