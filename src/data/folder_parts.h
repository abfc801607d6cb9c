// Which folders of an image folder are its training part and its test part. No torch here.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace retort::data {

/// The folders of one set that hold its class folders; `test` is empty where there is none.
struct FolderParts {
  std::filesystem::path train, test;
  std::vector<std::string> notes;  ///< what was found beside them and is not used
};

/// Looks for train and test (or val), in their usual spellings and any case, below `root`; without
/// a training part `root` itself is one. A part without class folders is passed over with a note.
/// DataError where several folders could be the training part.
FolderParts find_parts(const std::filesystem::path& root);

/// Throws DataError where a class folder below `root` holds no image but several folders of images:
/// then the classes lie deeper.
void refuse_nested_classes(const std::filesystem::path& root,
                           const std::vector<std::string>& classes);

}  // namespace retort::data
