// Image folders: PATH/CLASS/*.jpg, or PATH/train/CLASS and PATH/test/CLASS (or val/), in the
// spellings of folder_parts.cpp. Classes in ascending order of their folder names. No torch here.
#include "data/image_folder.h"

#include <algorithm>

#include "core/sizes.h"
#include "data/folder_parts.h"
#include "data/image_files.h"
#include "data/imagenet_classes.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

bool recognises(const fs::path& root) {
  std::error_code ignored;
  return fs::is_directory(root, ignored) && holds_images(root);
}

std::vector<LabelledFile> files_of(const fs::path& root, const std::vector<std::string>& folders,
                                   const ClassChoice& choice, bool all_needed, PassedOver& passed) {
  std::vector<LabelledFile> files;
  const std::vector<std::string> kept = chosen(folders, choice);
  for (size_t label = 0; label < kept.size(); ++label) {
    const fs::path folder = root / kept[label];
    std::error_code ignored;
    if (!all_needed && !fs::is_directory(folder, ignored)) continue;
    PassedOver here;
    const std::vector<fs::path> images = image_files(folder, here);
    const std::string kinds = here.kinds_text();
    if (images.empty() && all_needed)
      throw DataError({"reading the image folder '" + root.string() + "'",
                       "the class folder '" + folder.string() + "' holds no images" +
                           (kinds.empty() ? "" : ", but files of other kinds: " + kinds),
                       "at least one image file for each class",
                       kinds.empty() ? "fill the folder or remove it"
                                     : "convert the files to PNG or JPEG, or remove the folder"});
    passed.add(here);
    for (const fs::path& image : images) files.push_back({image, to_int64(label)});
  }
  return files;
}

void check_test_folders(const fs::path& test, const std::vector<std::string>& folders) {
  for (const std::string& name : folders_in(test))
    if (!std::binary_search(folders.begin(), folders.end(), name))
      throw DataError({"reading the image folder '" + test.string() + "'",
                       "the class folder '" + name + "' has no counterpart in the training part",
                       "the class folders of the training part", "remove or rename the folder"});
}

// Images beside the class folders belong to no class: leaving them out silently would mislead.
void refuse_stray_images(const fs::path& root, bool has_class_folders) {
  const std::vector<fs::path> stray = images_in(root);
  if (stray.empty()) return;
  const std::string first = "'" + stray[0].filename().string() + "'";
  if (!has_class_folders)
    throw DataError({"reading the image folder '" + root.string() + "'",
                     "it holds images (" + std::to_string(stray.size()) + ", the first is " +
                         first + ") and no class folders",
                     "images inside one folder a class",
                     "move each image into a folder with the name of its class"});
  throw DataError({"reading the image folder '" + root.string() + "'",
                   stray.size() == 1 ? "the image " + first + " lies beside the class folders"
                                     : std::to_string(stray.size()) + " images, the first " +
                                           first + ", lie beside the class folders",
                   "images inside one folder a class", "move it into its class folder"});
}

RawDataset read_folder(const fs::path& root, const ReadOptions& options) {
  Listing listing = list_image_folder(root, options);
  decode_files(listing.train, listing.test, options, listing.raw);
  return std::move(listing.raw);
}

}  // namespace

Listing list_image_folder(const fs::path& root, const ReadOptions& options) {
  FolderParts parts = find_parts(root);
  PassedOver passed;
  const std::vector<std::string> folders = folders_in(parts.train, passed);
  refuse_stray_images(parts.train, !folders.empty());
  refuse_nested_classes(parts.train, folders);
  Listing listing;
  RawDataset& raw = listing.raw;
  raw.name = folder_name(root);
  raw.reader = "image folder";
  raw.notes = std::move(parts.notes);
  std::vector<std::string> names;
  for (const std::string& folder : folders) {
    const auto index = imagenet_index(folder);
    names.push_back(index ? imagenet_name(*index) : folder);
  }
  make_unique(names, folders);
  const bool wnids = std::any_of(folders.begin(), folders.end(), [](const std::string& folder) {
    return imagenet_index(folder).has_value();
  });
  const ClassChoice choice =
      choose_classes(names, wnids ? folders : std::vector<std::string>(), options.classes);
  raw.class_names = chosen(names, choice);
  if (wnids) raw.class_ids = chosen(folders, choice);
  if (!parts.test.empty()) {
    check_test_folders(parts.test, folders);
    listing.test = files_of(parts.test, folders, choice, false, passed);
  }
  listing.train = files_of(parts.train, folders, choice, true, passed);
  if (const std::string note = passed.note(); !note.empty()) raw.notes.push_back(note);
  return listing;
}

Reader image_folder_reader() {
  return {"image-folder",
          "image folder: one folder of image files for each class, directly or under train/ and "
          "test/ (or val/)",
          recognises, read_folder, list_image_folder};
}

}  // namespace retort::data
