// What the importers read, before it is a bundle.
#pragma once

#include <string>
#include <vector>

#include "retort/core/torch_file.h"
#include "retort/synthetic/bundle.h"

namespace retort::synthetic {

/// Tensors and texts under the names that a file gives them.
struct ImportedTable {
  TensorMap tensors;
  std::map<std::string, std::vector<std::string>> texts;
};

ImportedTable import_npz(const std::filesystem::path& path);
/// `which` is the experiment of a file that holds several.
ImportedTable import_pt(const std::filesystem::path& path, int64_t which);
/// Class folders of image files; `class_names` fixes the classes and their order where not empty.
ImportedTable import_folder(const std::filesystem::path& path,
                            const std::vector<std::string>& class_names);

/// DataError of a published set that cannot be used.
[[noreturn]] void refuse_import(const std::string& path, const std::string& found);

}  // namespace retort::synthetic
