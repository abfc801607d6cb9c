// What the importers read, before it is a bundle.
#pragma once

#include <string>
#include <vector>

#include "io/torch_file.h"
#include "retort/synthetic/bundle.h"

namespace retort::synthetic {

/// Tensors and texts under the names that a file gives them.
struct ImportedTable {
  TensorMap tensors;
  std::map<std::string, std::vector<std::string>> texts;
  std::vector<std::string> notes = {};  ///< what was converted, for the user
  bool beside = false;  ///< labels_*.pt beside images_*.pt, where DATM and DD-Ranking keep logits
};

ImportedTable import_npz(const std::filesystem::path& path);
/// `which` is the experiment of a file that holds several.
ImportedTable import_pt(const std::filesystem::path& path, int64_t which);
/// Class folders of image files; `class_names` fixes the classes and their order where not empty.
/// Folders may also have the classes' ids (wnids), or be a full set of numbers (00000, new000).
ImportedTable import_folder(const std::filesystem::path& path,
                            const std::vector<std::string>& class_names,
                            const std::vector<std::string>& class_ids = {});

/// The first tensor of the table under one of the names that published files use; undefined where
/// there is none.
at::Tensor first_of(const ImportedTable& table, const std::vector<std::string>& names);
/// "only NAME [SHAPE], ...": what the table holds, for messages.
std::string names_in(const ImportedTable& table);

/// Labels as int64 [M], and soft labels where the file has rows of numbers instead. `kind` is one
/// of import_labels(). Rows of whole numbers must be one-hot.
void read_labels(Bundle& bundle, ImportedTable& table, const std::string& kind,
                 const std::string& path);

/// Images of any element type and order of axes as network input, float32 [M, C, H, W]. Compared
/// with the data where `options` name them: numbers of another kind are converted with a note, or
/// the note says how they look. `own` where the file names its preprocessing itself.
at::Tensor read_pixels(at::Tensor images, const data::Preprocessing& preprocessing, bool own,
                       const ImportOptions& options, std::vector<std::string>& notes,
                       const std::string& path);

/// DataError of a published set that cannot be used.
[[noreturn]] void refuse_import(const std::string& path, const std::string& found);
[[noreturn]] void refuse_import(const std::string& path, const std::string& found,
                                const std::string& accepted, const std::string& advice);

}  // namespace retort::synthetic
