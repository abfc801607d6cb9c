// Parts by the words in their folders' names: the words that Hugging Face's and Kaggle's sets use.
// No torch here.
#include "data/folder_parts.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "data/image_files.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

enum class PartKind { kTrain, kTest, kValidation };

/// A folder whose name says which part it is; `rest` are the other words ("seg" of seg_train).
struct NamedFolder {
  PartKind part;
  std::string rest, name;
  fs::path path;  ///< below it, where one folder holds all the others
  std::vector<std::string> classes;
};

std::optional<PartKind> part_of(const std::string& word) {
  static const std::map<std::string, PartKind> words = {{"train", PartKind::kTrain},
                                                        {"training", PartKind::kTrain},
                                                        {"trainset", PartKind::kTrain},
                                                        {"test", PartKind::kTest},
                                                        {"testing", PartKind::kTest},
                                                        {"testset", PartKind::kTest},
                                                        {"eval", PartKind::kTest},
                                                        {"evaluation", PartKind::kTest},
                                                        {"val", PartKind::kValidation},
                                                        {"valid", PartKind::kValidation},
                                                        {"validation", PartKind::kValidation},
                                                        {"valset", PartKind::kValidation},
                                                        {"dev", PartKind::kValidation}};
  const auto at = words.find(word);
  return at == words.end() ? std::nullopt : std::optional(at->second);
}

/// Goes down while a folder holds nothing but one folder that holds folders of images.
fs::path innermost(fs::path folder) {
  while (!images_lie_in(folder)) {
    const std::vector<std::string> below = folders_in(folder);
    if (below.size() != 1 || images_lie_in(folder / below[0]) || !holds_images(folder / below[0]))
      break;
    folder /= below[0];
  }
  return folder;
}

std::vector<std::string> class_folders(const fs::path& folder) {
  std::vector<std::string> classes = folders_in(folder);
  std::erase_if(classes, [&](const std::string& name) { return !holds_images(folder / name); });
  return classes;
}

/// The words of a name in small letters: "TrainImages_2017" is train, images, 2017.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  char before = ' ';
  for (const char c : name) {
    const auto is = [](int (*kind)(int), char letter) {
      return kind(static_cast<unsigned char>(letter)) != 0;
    };
    if (!is(std::isalnum, c) || (is(std::isupper, c) && is(std::islower, before)))
      words.emplace_back();
    if (is(std::isalnum, c)) words.back() += c;
    before = c;
  }
  for (std::string& word : words) word = lower(word);
  std::erase(words, "");
  return words;
}

/// One word must name the part; "train_test_images" is neither.
std::optional<NamedFolder> named(const fs::path& root, const std::string& name) {
  std::optional<PartKind> part;
  std::string rest;
  for (const std::string& word : words_of(name)) {
    const auto found = part_of(word.substr(0, word.find_last_not_of("0123456789") + 1));
    if (found && part) return std::nullopt;
    if (found)
      part = found;
    else
      rest += " " + word;
  }
  if (!part) return std::nullopt;
  const fs::path path = innermost(root / name);
  return NamedFolder{*part, rest, name, path, class_folders(path)};
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 6; ++i) text += (i ? ", '" : "'") + names[i] + "'";
  return names.size() > 6 ? text + " and " + std::to_string(names.size() - 6) + " more" : text;
}

std::string images_text(size_t count) {
  return std::to_string(count) + (count == 1 ? " image" : " images");
}

size_t count_images(const fs::path& folder) {
  PassedOver ignored;
  return image_files(folder, ignored).size();
}

/// The training part: with class folders, and with no word beside "train" where there is a choice.
const NamedFolder* choose_train(const fs::path& root, const std::vector<NamedFolder>& all) {
  std::vector<const NamedFolder*> found;
  for (const NamedFolder& one : all)
    if (one.part == PartKind::kTrain && !one.classes.empty()) found.push_back(&one);
  std::vector<std::string> names;
  for (const NamedFolder* one : found) {
    if (one->rest.empty() &&
        std::count_if(found.begin(), found.end(),
                      [](const NamedFolder* other) { return other->rest.empty(); }) == 1)
      return one;
    names.push_back(one->name);
  }
  if (found.size() > 1)
    throw DataError({"reading the image folder '" + root.string() + "'",
                     "several folders may be its training part: " + listed(names),
                     "one training part, such as train/, with class folders",
                     "move the others away, or point to a folder with one of them"});
  return found.empty() ? nullptr : found[0];
}

/// Of a part that is not the training part: whether its folders are classes of the training part.
bool usable(const NamedFolder& part, const NamedFolder& train) {
  const std::set<std::string> trained(train.classes.begin(), train.classes.end());
  const bool any = std::any_of(part.classes.begin(), part.classes.end(),
                               [&](const std::string& name) { return trained.count(name) > 0; });
  if (!any && part.classes.size() > 1)
    throw DataError({"reading the image folder '" + part.path.string() + "'",
                     "none of its class folders (" + listed(part.classes) +
                         ") has a counterpart in the training part",
                     "the class folders of '" + train.path.string() + "': " + listed(train.classes),
                     "rename the folders, or move the part away"});
  return any;
}

void note_flat(const NamedFolder& part, const std::string& taken, std::vector<std::string>& notes) {
  if (const size_t count = count_images(part.path); count > 0)
    notes.push_back(part.name + "/ holds " + images_text(count) +
                    " outside class folders: not used" +
                    (taken.empty() ? "" : "; " + taken + "/ taken as the test part"));
}

/// Test parts come before validation parts, and those named as the training part is come first.
void find_test(const NamedFolder& train, std::vector<NamedFolder> others, FolderParts& parts) {
  std::stable_sort(others.begin(), others.end(), [&](const NamedFolder& a, const NamedFolder& b) {
    return std::tuple(a.part, a.rest != train.rest) < std::tuple(b.part, b.rest != train.rest);
  });
  const auto last = std::stable_partition(
      others.begin(), others.end(), [&](const NamedFolder& one) { return usable(one, train); });
  const std::string taken = last == others.begin() ? "" : others.front().name;
  if (!taken.empty()) {
    parts.test = others.front().path;
    if (const size_t stray = images_in(parts.test).size(); stray > 0)
      parts.notes.push_back(taken + "/ holds " + images_text(stray) +
                            " beside its class folders: not used");
  }
  for (auto one = last; one != others.end(); ++one) note_flat(*one, taken, parts.notes);
  for (auto one = others.begin(); one < last; ++one)
    if (one->name != taken)
      parts.notes.push_back(one->name + "/ holds " + images_text(count_images(one->path)) +
                            " in class folders: not used; " + taken + "/ taken as the test part");
}

/// Two parts without class folders are no two classes, unless other words stand beside them.
void refuse_flat_parts(const fs::path& root, const std::vector<NamedFolder>& parts) {
  std::map<std::string, std::vector<const NamedFolder*>> flat;  // by the other words
  for (const NamedFolder& one : parts)
    if (one.classes.empty() && images_lie_in(one.path)) flat[one.rest].push_back(&one);
  for (const auto& [rest, same] : flat) {
    std::set<PartKind> kinds;
    std::vector<std::string> names;
    for (const NamedFolder* one : same) {
      kinds.insert(one->part);
      names.push_back(one->name);
    }
    if (kinds.size() < 2) continue;
    throw DataError({"reading the image folder '" + root.string() + "'",
                     "its parts " + listed(names) +
                         " hold images outside class folders, such as '" +
                         images_in(same[0]->path)[0].filename().string() + "'",
                     "one folder of images for each class in each part: train/cat/1.jpg",
                     "sort the images into folders by their classes, as their names or a table "
                     "beside them give them"});
  }
}

}  // namespace

FolderParts find_parts(const fs::path& root) {
  std::vector<NamedFolder> parts, tests;
  std::vector<std::string> unused;
  for (const std::string& name : folders_in(root)) {
    if (auto one = named(root, name))
      parts.push_back(std::move(*one));
    else
      unused.push_back(name);
  }
  const NamedFolder* train = choose_train(root, parts);
  if (!train) {
    refuse_flat_parts(root, parts);
    return {root, {}, {}};
  }
  for (const NamedFolder& one : parts) {
    if (one.part != PartKind::kTrain)
      tests.push_back(one);
    else if (&one != train)
      unused.push_back(one.name);
  }
  FolderParts found{train->path, {}, {}};
  find_test(*train, std::move(tests), found);
  std::erase_if(unused, [&](const std::string& name) { return !holds_images(root / name); });
  if (!unused.empty())
    found.notes.push_back("folders with images beside the parts are not used: " + listed(unused));
  return found;
}

void refuse_nested_classes(const fs::path& root, const std::vector<std::string>& classes) {
  std::vector<std::string> nested;
  fs::path deeper;
  for (const std::string& name : classes) {
    fs::path folder = root / name;
    std::vector<std::string> below;
    while (!images_lie_in(folder) && (below = class_folders(folder)).size() == 1)
      folder /= below[0];
    // A class may hold its images one folder down; with one class only, that folder is the class.
    const bool only_folders = !images_lie_in(folder) && below.size() > 1;
    if (!only_folders && !(classes.size() == 1 && folder != root / name)) continue;
    if (nested.empty()) deeper = only_folders ? folder : folder.parent_path();
    nested.push_back(name);
  }
  if (nested.empty()) return;
  throw DataError(
      {"reading the image folder '" + root.string() + "'",
       (nested.size() == 1 ? "the class folder " : "the class folders ") + listed(nested) +
           (nested.size() == 1 ? " holds" : " hold") + " no images, only folders of images",
       "one folder of images for each class",
       nested.size() == 1
           ? "did you mean '" + deeper.string() + "'?"
           : "point to the folder that holds the class folders (did you mean '" + deeper.string() +
                 "'?), call parts train and test, or move the images of each class into "
                 "one folder"});
}

}  // namespace retort::data
