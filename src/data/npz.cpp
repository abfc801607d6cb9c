// One .npz file, or .npy files beside each other: images and labels under Keras' names (x_train,
// ...), MedMNIST's (train_images, ...), plain ones (images, labels) or np.savez's own (arr_0,
// arr_1). No torch here.
#include "data/npz.h"

#include <algorithm>
#include <string_view>

#include "core/file.h"
#include "data/layouts.h"
#include "data/npz_images.h"
#include "data/npz_names.h"
#include "io/archive_members.h"
#include "io/npy_size.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kLimit = uint64_t{64} << 30;
constexpr int64_t kMaxClasses = 100000;

bool is_wanted(const std::string& name, const std::set<std::string>& wanted) {
  return wanted.empty() ? meaning_of(name) || unnamed_array(name) : wanted.contains(name);
}

std::string stem_of(const std::string& member) {
  return member.ends_with(".npy") ? member.substr(0, member.size() - 4) : member;
}

Arrays members_of(std::span<const std::byte> bytes, const std::string& path,
                  const std::set<std::string>& wanted) {
  Arrays members;
  read_members(
      bytes, path, kLimit,
      [&](const std::string& name, std::string content) {
        members[stem_of(name)] = std::move(content);
      },
      [&](const std::string& name, uint64_t) { return is_wanted(stem_of(name), wanted); },
      [&](std::string_view start, const std::string& name) {
        return npy_size(start, path + ":" + stem_of(name));
      });
  return members;
}

/// Names of the arrays of one part.
struct PartNames {
  std::string images, labels;
};

/// Which array is what.
struct Roles {
  PartNames train, test, validation;
  std::string class_names;
};

void assign(std::string& place, const std::string& name, const std::string& path) {
  if (!place.empty())
    throw DataError({"reading '" + path + "'",
                     "'" + place + "' and '" + name + "' may be the same part of the set",
                     "one of "
                     "them",
                     "save the set without the other, or call it otherwise"});
  place = name;
}

Roles roles_by_name(const Arrays& members, const std::string& path) {
  Roles roles;
  for (const auto& [name, bytes] : members) {
    const auto meaning = meaning_of(name);
    if (!meaning) continue;
    if (meaning->role == ArrayRole::kClassNames) {
      assign(roles.class_names, name, path);
      continue;
    }
    PartNames& part = meaning->part == ArrayPart::kTrain  ? roles.train
                      : meaning->part == ArrayPart::kTest ? roles.test
                                                          : roles.validation;
    assign(meaning->role == ArrayRole::kImages ? part.images : part.labels, name, path);
  }
  return roles;
}

/// arr_0 and its sisters, in Keras' order (images, labels, images, labels) or scikit-learn's
/// (images, images, labels, labels): images have three dimensions or four.
Roles roles_by_number(const Arrays& members, const std::string& path) {
  std::map<int, std::string> numbered;
  for (const auto& [name, bytes] : members)
    if (const auto number = unnamed_array(name)) numbered[*number] = name;
  std::vector<std::string> images, labels;
  for (const auto& [number, name] : numbered) {
    const std::string& bytes = members.at(name);
    const std::string place = path + ":" + name;
    const bool image = !npy_is_text(bytes, place) && parse_npy(bytes, place).shape.size() >= 3;
    (image ? images : labels).push_back(name);
  }
  if (images.size() != labels.size() || images.empty() || images.size() > 2)
    throw DataError({"reading '" + path + "'",
                     std::to_string(images.size()) + " arrays of images and " +
                         std::to_string(labels.size()) + " others, without names",
                     "images with their labels, and a test part of both",
                     "save them with names: np.savez(\"set.npz\", x_train=..., y_train=..., "
                     "x_test=..., y_test=...)"});
  Roles roles{{images[0], labels[0]}, {}, {}, {}};
  if (images.size() == 2) roles.test = {images[1], labels[1]};
  return roles;
}

/// What the labels of images, or the images of labels, are called: y_train beside x_train.
std::string counterpart(const std::string& name, bool of_images) {
  const char initial = of_images ? 'x' : 'y';
  if (!name.empty() && lower(name).front() == initial)
    return (of_images ? "y" : "x") + name.substr(1);
  return of_images ? "labels" : "images";
}

const std::string& member(const Arrays& members, const std::string& name, std::string_view usual,
                          const std::string& path) {
  const auto at = members.find(name);
  if (at == members.end())
    throw DataError({"reading '" + path + "'", "the array '" + std::string(usual) + "' is missing",
                     "images with their labels", "save both arrays"});
  return at->second;
}

RawDataset read_arrays(const Arrays& members, const Roles& roles, const std::string& path) {
  RawDataset raw;
  raw.name = fs::path(path).stem().string();
  raw.reader = "npz";
  std::vector<std::pair<ImageArray, RawImages*>> images;
  const auto read = [&](const PartNames& names, RawImages& out) {
    const std::string& bytes =
        member(members, names.images, counterpart(names.labels, false), path);
    const std::string& label_bytes =
        member(members, names.labels, counterpart(names.images, true), path);
    const std::string place = path + ":" + names.images;
    images.push_back({{place, parse_npy(bytes, place)}, &out});
    LabelArray labels = read_labels(label_bytes, path, names.labels, raw.class_names);
    const auto& shape = images.back().first.array.shape;
    const int64_t count = shape.empty() ? 0 : shape[0];
    if (std::ssize(labels.values) != count)
      throw DataError({"reading '" + path + "'",
                       "'" + names.labels + "' holds " + std::to_string(labels.values.size()) +
                           " labels for " + std::to_string(count) + " images in '" + names.images +
                           "'",
                       "one label for each image, images first to last along the first dimension",
                       "save both arrays in one order; np.moveaxis(images, -1, 0) brings the last "
                       "dimension to the front"});
    out.labels = std::move(labels.values);
    if (!labels.names.empty()) raw.class_names = std::move(labels.names);
  };
  read(roles.train, raw.train);
  if (!roles.test.images.empty() || !roles.test.labels.empty()) read(roles.test, raw.test);
  read_images(images, raw);
  return raw;
}

void check_labels(const RawImages& part, int64_t last, const std::string& place, bool test) {
  for (size_t i = 0; i < part.labels.size(); ++i) {
    const int64_t label = part.labels[i];
    if (label >= 0 && label <= last) continue;
    throw DataError({"reading '" + place + "'",
                     "label " + std::to_string(label) + " in record " + std::to_string(i),
                     "labels of 0 to " + std::to_string(last),
                     test && label > last
                         ? "leave out test images of classes that have no training images"
                         : "number the classes from 0 on, and leave out images without a label"});
  }
}

void name_classes(RawDataset& raw, const Arrays& members, const Roles& roles,
                  const std::string& path) {
  if (!raw.class_names.empty()) return;  // texts
  check_labels(raw.train, kMaxClasses, path + ":" + roles.train.labels, false);
  const int64_t last = *std::max_element(raw.train.labels.begin(), raw.train.labels.end());
  check_labels(raw.test, last, path + ":" + roles.test.labels, true);
  for (int64_t c = 0; c <= last; ++c) raw.class_names.push_back(std::to_string(c));
  if (roles.class_names.empty()) return;
  const std::string place = path + ":" + roles.class_names;
  const std::string& bytes = members.at(roles.class_names);
  if (!npy_is_text(bytes, place)) return;
  std::vector<std::string> names = parse_npy_strings(bytes, place);
  if (names.size() == raw.class_names.size())
    raw.class_names = std::move(names);
  else
    raw.notes.push_back("'" + roles.class_names + "' holds " + std::to_string(names.size()) +
                        " names for " + std::to_string(raw.class_names.size()) +
                        " classes: not used");
}

/// A validation part serves as test part where there is no other, and is named where there is.
void place_validation(Roles& roles, std::vector<std::string>& notes) {
  const PartNames& part = roles.validation;
  if (part.images.empty()) return;
  if (roles.test.images.empty() && roles.test.labels.empty() && !part.labels.empty()) {
    notes.push_back("'" + part.images + "' taken as the test part");
    roles.test = part;
  } else {
    notes.push_back("'" + part.images +
                    "' is not used: --validation-fraction keeps a part of the "
                    "training images aside");
  }
}

bool has_ending(const fs::path& path, const char* ending) {
  std::error_code ignored;
  return lower(path.extension().string()) == ending && fs::is_regular_file(path, ignored);
}

RawDataset read_npz(const fs::path& path, const ReadOptions& options) {
  RawDataset raw = dataset_of_npz(npz_members(path, {}), path.string());
  keep_classes(raw, options.classes);
  return raw;
}

/// .npy files by their names; beside FILE.npy, labels alone are enough. Empty where there are no
/// images with labels.
std::map<std::string, fs::path> npy_files(const fs::path& path) {
  std::map<std::string, fs::path> files;
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  if (!folder && !has_ending(path, ".npy")) return {};
  bool images = false, labels = false;
  for (const auto& entry :
       fs::directory_iterator(folder ? path : fs::absolute(path).parent_path(), ignored)) {
    const std::string stem = entry.path().stem().string();
    const auto meaning = meaning_of(stem);
    if (!meaning || !has_ending(entry.path(), ".npy")) continue;
    files[stem] = entry.path();
    images |= meaning->role == ArrayRole::kImages && meaning->part == ArrayPart::kTrain;
    labels |= meaning->role == ArrayRole::kLabels && meaning->part == ArrayPart::kTrain;
  }
  if (!folder && !meaning_of(path.stem().string()) && labels && !images) {
    files["images"] = path;
    images = true;
  }
  return images && labels ? files : std::map<std::string, fs::path>();
}

RawDataset read_npy(const fs::path& path, const ReadOptions& options) {
  Arrays members;
  for (const auto& [name, file] : npy_files(path)) members[name] = read_file(file, kLimit);
  RawDataset raw = dataset_of_npz(members, path.string());
  raw.name = folder_name(fs::is_directory(path) ? path : fs::absolute(path).parent_path());
  raw.reader = "npy";
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

Arrays npz_members(const fs::path& path, const std::set<std::string>& wanted) {
  const MappedFile file(path);
  return members_of(file.bytes(), path.string(), wanted);
}

Arrays npz_members(std::span<const std::byte> bytes, const std::string& path,
                   const std::set<std::string>& wanted) {
  return members_of(bytes, path, wanted);
}

RawDataset dataset_of_npz(const Arrays& members, const std::string& path) {
  Roles roles = roles_by_name(members, path);
  const bool named = !roles.train.images.empty() || !roles.train.labels.empty();
  const bool numbered = std::any_of(members.begin(), members.end(), [](const auto& one) {
    return unnamed_array(one.first).has_value();
  });
  if (!named && !numbered)
    throw DataError({"reading '" + path + "'", "none of its arrays has a known name",
                     "x_train, y_train, x_test, y_test; or train_images, train_labels; or images, "
                     "labels; each with test_images, test_labels where there are any",
                     "save the arrays under such names"});
  if (!named) roles = roles_by_number(members, path);
  std::vector<std::string> notes;
  place_validation(roles, notes);
  RawDataset raw = read_arrays(members, roles, path);
  name_classes(raw, members, roles, path);
  raw.notes.insert(raw.notes.begin(), notes.begin(), notes.end());
  return raw;
}

Reader npz_reader() {
  return {"npz",
          "one .npz file: x_train, y_train, x_test, y_test; or images, labels (and test_images, "
          "test_labels)",
          [](const fs::path& path) { return has_ending(path, ".npz"); }, read_npz};
}

Reader npy_reader() {
  return {"npy",
          "a folder of .npy files under such names: x_train.npy, y_train.npy; or x.npy, y.npy",
          [](const fs::path& path) { return !npy_files(path).empty(); }, read_npy};
}

}  // namespace retort::data
