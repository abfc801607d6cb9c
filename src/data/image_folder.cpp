// Image folders: PATH/CLASS/*.jpg, or PATH/train/CLASS and PATH/{test,val,valid,validation}/CLASS.
// Classes in ascending order of their folder names. No torch here.
#include "data/image_folder.h"

#include <algorithm>

#include "data/decode.h"
#include "data/imagenet_classes.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

/// The folders of one set; `test` is empty where there is none.
struct Parts {
  fs::path train, test;
};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

Parts find_parts(const fs::path& root) {
  if (!is_folder(root / "train")) return {root, {}};
  for (const char* name : {"test", "val", "valid", "validation"})
    if (is_folder(root / name) && !fs::is_empty(root / name)) return {root / "train", root / name};
  return {root / "train", {}};
}

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with(".")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Looks only as far as the first image of each folder.
bool holds_images(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored))
    if (!entry.is_directory(ignored) && has_image_ending(entry.path())) return true;
  return false;
}

bool recognises(const fs::path& root) {
  if (!is_folder(root)) return false;
  if (is_folder(root / "train")) return !class_folders(root / "train").empty();
  const auto names = class_folders(root);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return holds_images(root / name); });
}

std::vector<LabelledFile> files_of(const fs::path& root, const std::vector<std::string>& folders,
                                   const ClassChoice& choice, bool all_needed) {
  std::vector<LabelledFile> files;
  for (size_t label = 0; label < choice.kept.size(); ++label) {
    const fs::path folder = root / folders[choice.kept[label]];
    if (!all_needed && !is_folder(folder)) continue;
    const std::vector<fs::path> images = image_files(folder);
    if (images.empty() && all_needed)
      throw DataError({"reading the image folder '" + root.string() + "'",
                       "the class folder '" + folder.string() + "' holds no images",
                       "at least one JPEG or PNG file for each class",
                       "fill the folder or remove it"});
    for (const fs::path& image : images) files.push_back({image, static_cast<int64_t>(label)});
  }
  return files;
}

void check_test_folders(const fs::path& test, const std::vector<std::string>& folders) {
  for (const std::string& name : class_folders(test))
    if (!std::binary_search(folders.begin(), folders.end(), name))
      throw DataError({"reading the image folder '" + test.string() + "'",
                       "the class folder '" + name + "' has no counterpart in the training part",
                       "the class folders of the training part", "remove or rename the folder"});
}

// Images beside the class folders belong to no class: leaving them out silently would mislead.
void refuse_stray_images(const fs::path& root) {
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_regular_file() && has_image_ending(entry.path()))
      throw DataError(
          {"reading the image folder '" + root.string() + "'",
           "the image '" + entry.path().filename().string() + "' lies beside the class folders",
           "images inside one folder a class", "move it into its class folder"});
}

RawDataset read_folder(const fs::path& root, const ReadOptions& options) {
  Listing listing = list_image_folder(root, options);
  decode_files(listing.train, listing.test, options, listing.raw);
  return std::move(listing.raw);
}

}  // namespace

Listing list_image_folder(const fs::path& root, const ReadOptions& options) {
  const Parts parts = find_parts(root);
  const std::vector<std::string> folders = class_folders(parts.train);
  refuse_stray_images(parts.train);
  Listing listing;
  RawDataset& raw = listing.raw;
  raw.name = "folder";
  raw.reader = "image folder";
  std::vector<std::string> names;
  for (const std::string& folder : folders) {
    const auto index = imagenet_index(folder);
    names.push_back(index ? imagenet_name(*index) : folder);
  }
  const bool wnids = names != folders;
  const ClassChoice choice =
      choose_classes(names, wnids ? folders : std::vector<std::string>(), options.classes);
  for (const int64_t old : choice.kept) {
    raw.class_names.push_back(names[old]);
    if (wnids) raw.class_ids.push_back(folders[old]);
  }
  if (!parts.test.empty()) {
    check_test_folders(parts.test, folders);
    listing.test = files_of(parts.test, folders, choice, false);
  }
  listing.train = files_of(parts.train, folders, choice, true);
  return listing;
}

Reader image_folder_reader() {
  return {"image-folder",
          "image folder: one folder of JPEG or PNG files for each class, directly or under train/ "
          "and test/ (or val/, valid/, validation/)",
          recognises, read_folder};
}

}  // namespace retort::data
