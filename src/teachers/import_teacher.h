// Published ResNets as teachers: state dictionaries in torchvision's names, read without running
// code.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/teachers/teacher.h"

namespace retort::teachers {

/// What a state dictionary does not say.
struct TeacherImport {
  std::vector<std::string> class_names;
  data::Preprocessing preprocessing;
  int64_t height = 224, width = 224;
  std::string data_name;
  std::string objective = "imported";
};

/// ImageNet's 1000 classes and normalisation, for images of `side` pixels.
TeacherImport of_imagenet(int64_t side);
/// A data set as it was opened.
TeacherImport of_data(const data::Dataset& data);

/// A teacher as read; `whole` is false where the file has no last layer for these classes (that of
/// the teacher is then 0).
struct ImportedTeacher {
  Teacher teacher;
  std::string prefix;  ///< of the names that were taken: "state_dict/module.encoder_q."
  bool whole = true;
  int64_t last_classes = 0;  ///< where not whole: what its last layer is for; 0: it has none
};

/// Reads ResNet18, 34, 50 or 101 (3x3 or 7x7 stem, any width) from a .pt, .pth or .safetensors
/// file. Names may stand under other dictionaries and behind prefixes, such as those of MoCo,
/// SwAV and DINO; of several networks the query's and the teacher's go first. DataError saying what
/// was found.
ImportedTeacher import_teacher(const std::filesystem::path& path, const TeacherImport& about);

/// Trains the last layer of the teacher on the data's features, all else as it is, and measures the
/// accuracy.
void probe_teacher(Teacher& teacher, const data::Dataset& data, int64_t epochs, at::Device device);

}  // namespace retort::teachers
