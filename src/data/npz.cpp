// One .npz file: images uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] and integer labels, under
// Keras' names (x_train, ...), MedMNIST's (train_images, ...) or plain ones (images, labels).
// No torch here.
#include "data/npz.h"

#include <algorithm>
#include <cstring>

#include "data/layouts.h"
#include "retort/core/archive.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kLimit = uint64_t{64} << 30;
constexpr int64_t kMaxClasses = 100000;

/// One spelling of the four arrays; the test part may be absent.
struct Names {
  const char *train_images, *train_labels, *test_images, *test_labels;
};
constexpr Names kNames[] = {
    {"x_train", "y_train", "x_test", "y_test"},
    {"train_images", "train_labels", "test_images", "test_labels"},
    {"images", "labels", "test_images", "test_labels"},
};

std::set<std::string> known_names() {
  std::set<std::string> names;
  for (const Names& n : kNames)
    names.insert({n.train_images, n.train_labels, n.test_images, n.test_labels});
  return names;
}

auto taker(std::map<std::string, std::string>& members, const std::set<std::string>& wanted) {
  return [&members, &wanted](const std::string& name, std::string bytes) {
    const std::string stem = name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name;
    if (wanted.count(stem)) members[stem] = std::move(bytes);
  };
}

struct Shape {
  int64_t channels, height, width;
  bool channels_last;
  bool operator==(const Shape&) const = default;
};

Shape shape_of(const NpyArray& array, const std::string& name, const std::string& path) {
  const auto& s = array.shape;
  const bool sizes_fit = std::all_of(s.begin(), s.end(), [](int64_t d) { return d >= 1; });
  if (array.dtype == DType::kU8 && sizes_fit) {
    if (s.size() == 3) return {1, s[1], s[2], true};
    if (s.size() == 4 && (s[3] == 1 || s[3] == 3)) return {s[3], s[1], s[2], true};
    if (s.size() == 4 && (s[1] == 1 || s[1] == 3)) return {s[1], s[2], s[3], false};
  }
  std::string found = "'" + name + "' is " + std::string(dtype_name(array.dtype)) + " [";
  for (size_t d = 0; d < s.size(); ++d) found += (d ? ", " : "") + std::to_string(s[d]);
  throw DataError({"reading '" + path + "'", found + "]",
                   "images as uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels",
                   "save them as uint8 from 0 to 255"});
}

const std::string& member(const std::map<std::string, std::string>& members,
                          const std::string& name, const std::string& path) {
  const auto at = members.find(name);
  if (at == members.end())
    throw DataError({"reading '" + path + "'", "the array '" + name + "' is missing",
                     "images with their labels", "save both arrays"});
  return at->second;
}

void read_part(const std::map<std::string, std::string>& members, const std::string& images_name,
               const std::string& labels_name, const std::string& path, RawDataset& raw,
               RawImages& out) {
  const std::string label_place = path + ":" + labels_name;
  const NpyArray images = parse_npy(member(members, images_name, path), path + ":" + images_name);
  const NpyArray labels = parse_npy(member(members, labels_name, path), label_place);
  const Shape shape = shape_of(images, images_name, path);
  out.labels = integers_of(labels, labels_name, path);
  const int64_t count = images.shape[0];
  if (static_cast<int64_t>(out.labels.size()) != count)
    throw DataError::damaged(path, "'" + labels_name + "' holds " +
                                       std::to_string(out.labels.size()) + " labels for " +
                                       std::to_string(count) + " images");
  if (raw.channels == 0) {
    raw.channels = shape.channels;
    raw.height = shape.height;
    raw.width = shape.width;
  }
  if (shape.channels != raw.channels || shape.height != raw.height || shape.width != raw.width)
    throw DataError::damaged(path, "'" + images_name + "' has images of another shape",
                             "the shape of the training images");
  const int64_t pixels = shape.height * shape.width;
  const auto* data = reinterpret_cast<const uint8_t*>(images.data.data());
  if (!shape.channels_last || shape.channels == 1) {
    out.pixels.assign(data, data + images.data.size());
    return;
  }
  out.pixels.reserve(images.data.size());
  for (int64_t n = 0; n < count; ++n)
    append_planes(out.pixels, data + n * pixels * shape.channels, pixels, shape.channels);
}

void check_labels(const RawImages& part, int64_t last, const std::string& place) {
  for (size_t i = 0; i < part.labels.size(); ++i)
    check_label(part.labels[i], 0, last, place, static_cast<int64_t>(i));
}

bool recognises(const fs::path& path) {
  std::error_code ignored;
  return lower(path.extension().string()) == ".npz" && fs::is_regular_file(path, ignored);
}

RawDataset read_npz(const fs::path& path, const ReadOptions& options) {
  RawDataset raw = dataset_of_npz(npz_members(path, known_names()), path.string());
  keep_classes(raw, options.classes);
  return raw;
}

template <class T>
std::vector<int64_t> widened(std::string_view data) {
  std::vector<int64_t> values(data.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = int64_t{value};  // signed bytes keep their sign
  }
  return values;
}

}  // namespace

std::map<std::string, std::string> npz_members(const fs::path& path,
                                               const std::set<std::string>& wanted) {
  std::map<std::string, std::string> members;
  read_archive(path, kLimit, taker(members, wanted));
  return members;
}

std::map<std::string, std::string> npz_members(std::span<const std::byte> bytes,
                                               const std::string& path,
                                               const std::set<std::string>& wanted) {
  std::map<std::string, std::string> members;
  read_archive_bytes(bytes, path, kLimit, taker(members, wanted));
  return members;
}

std::vector<int64_t> integers_of(const NpyArray& array, const std::string& what,
                                 const std::string& path) {
  const bool flat = array.shape.size() == 1 || (array.shape.size() == 2 && array.shape[1] == 1);
  if (flat) switch (array.dtype) {
      case DType::kU8:
        return widened<uint8_t>(array.data);
      case DType::kI8:
        return widened<int8_t>(array.data);
      case DType::kI16:
        return widened<int16_t>(array.data);
      case DType::kI32:
        return widened<int32_t>(array.data);
      case DType::kI64:
        return widened<int64_t>(array.data);
      default:
        break;
    }
  throw DataError::damaged(path,
                           "'" + what + "' is " + std::string(dtype_name(array.dtype)) + " in " +
                               std::to_string(array.shape.size()) + " dimensions",
                           "integer labels [N] or [N, 1]");
}

RawDataset dataset_of_npz(const std::map<std::string, std::string>& members,
                          const std::string& path) {
  const Names* names = std::find_if(std::begin(kNames), std::end(kNames), [&](const Names& n) {
    return members.count(n.train_images) || members.count(n.train_labels);
  });
  if (names == std::end(kNames))
    throw DataError({"reading '" + path + "'", "none of its arrays has a known name",
                     "x_train, y_train, x_test, y_test; or train_images, train_labels; or images, "
                     "labels; each with test_images, test_labels where there are any",
                     "save the arrays under such names"});
  RawDataset raw;
  raw.name = fs::path(path).stem().string();
  raw.reader = "npz";
  read_part(members, names->train_images, names->train_labels, path, raw, raw.train);
  if (members.count(names->test_images) || members.count(names->test_labels))
    read_part(members, names->test_images, names->test_labels, path, raw, raw.test);
  check_labels(raw.train, kMaxClasses, path + ":" + names->train_labels);
  const int64_t last = *std::max_element(raw.train.labels.begin(), raw.train.labels.end());
  check_labels(raw.test, last, path + ":" + names->test_labels);
  for (int64_t c = 0; c <= last; ++c) raw.class_names.push_back(std::to_string(c));
  return raw;
}

Reader npz_reader() {
  return {"npz",
          "one .npz file: x_train, y_train, x_test, y_test; or images, labels (and test_images, "
          "test_labels)",
          recognises, read_npz};
}

}  // namespace retort::data
