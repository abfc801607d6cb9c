// Sets as .npz files and as class folders of images.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>
#include <sstream>

#include "core/file.h"
#include "core/sizes.h"
#include "data/image_files.h"
#include "data/image_notes.h"
#include "io/archive.h"
#include "io/npy.h"
#include "io/scalar_types.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "synthetic/class_folders.h"
#include "synthetic/import.h"

namespace retort::synthetic {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{16} << 30;
constexpr uint64_t kLargestImage = uint64_t{256} << 20;

at::Tensor tensor_from(const NpyArray& array) {
  const at::ScalarType type = scalar_type_of(array.dtype);
  const at::ScalarType read_as = type == at::kBool ? at::kByte : type;
  at::Tensor tensor = at::empty(array.shape, at::TensorOptions().dtype(read_as));
  if (!array.data.empty()) std::memcpy(tensor.data_ptr(), array.data.data(), array.data.size());
  return type == at::kBool ? tensor.ne(0) : tensor;
}

/// Class names in order: given, listed in the folder, or the folders' own.
std::vector<std::string> classes_of(const fs::path& path,
                                    const std::vector<std::string>& class_names) {
  if (!class_names.empty()) return class_names;
  const fs::path list = path / kClassNamesFile;
  if (!fs::exists(list)) return data::folders_in(path);
  std::vector<std::string> out;
  std::istringstream lines(read_file(list, uint64_t{1} << 24));
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

/// The folders by number where they are 00000, 00001 and so on, or new000 and so on, one for every
/// class from 0; else nothing.
std::vector<std::string> numbered_folders(const std::vector<std::string>& folders, size_t classes) {
  std::vector<std::string> found(classes);
  std::string prefix;
  for (const std::string& folder : folders) {
    const size_t digits = folder.find_last_not_of("0123456789") + 1;  // npos + 1 is 0
    uint64_t number = 0;
    const char* end = folder.data() + folder.size();
    const auto [stop, problem] = std::from_chars(folder.data() + digits, end, number);
    if (problem != std::errc() || stop != end || number >= classes || !found[number].empty())
      return {};
    if (&folder == &folders.front()) prefix = folder.substr(0, digits);
    if (folder.substr(0, digits) != prefix) return {};
    found[number] = folder;
  }
  return folders.size() == classes ? found : std::vector<std::string>();
}

/// Appends an image's pixels, [C, H, W]; the first image sets the shape.
void append_image(const fs::path& path, data::DecodedImage& first, std::vector<uint8_t>& pixels,
                  data::ImageFindings& facts) {
  data::DecodedImage image = data::decode_image(read_file(path, kLargestImage), path.string());
  facts.add(image.facts);
  if (first.pixels.empty()) first = image;
  if (image.width != first.width || image.height != first.height ||
      image.channels != first.channels)
    refuse_import(
        path.string(),
        fmt::format("it is {}x{} with {} channels, the first image {}x{} with {}", image.width,
                    image.height, image.channels, first.width, first.height, first.channels));
  const auto channels = to_size(image.channels);
  for (size_t c = 0; c < channels; ++c)
    for (size_t i = c; i < image.pixels.size(); i += channels) pixels.push_back(image.pixels[i]);
}

}  // namespace

ImportedTable import_npz(const fs::path& path) {
  const std::set<std::string> texts = {"class_names", "preprocessing", "data_name",
                                       "soft_label_kind"};
  ImportedTable table;
  read_archive(path, kMostBytes, [&](const std::string& member, std::string bytes) {
    const fs::path name(member);
    if (name.extension() != ".npy") return;
    const std::string key = name.stem().string(), where = path.string() + ": " + member;
    if (texts.count(key) != 0)
      table.texts[key] = parse_npy_strings(bytes, where);
    else
      table.tensors[key] = tensor_from(parse_npy(bytes, where));
  });
  return table;
}

ImportedTable import_folder(const fs::path& path, const std::vector<std::string>& class_names,
                            const std::vector<std::string>& class_ids) {
  const std::vector<std::string> names = classes_of(path, class_names),
                                 folders = data::folders_in(path);
  std::vector<std::string> wanted = class_folders(names);
  const auto named = [&](const std::vector<std::string>& by) {
    return std::all_of(folders.begin(), folders.end(), [&](const std::string& folder) {
      return std::find(by.begin(), by.end(), folder) != by.end();
    });
  };
  ImportedTable table;
  const auto numbered = numbered_folders(folders, names.size());
  if (!class_ids.empty() && !named(wanted) && named(class_ids)) {
    wanted = class_ids;
  } else if (!class_names.empty() && !named(wanted) && !numbered.empty()) {
    table.notes.push_back(
        fmt::format("the folders {} to {} were taken as the classes by number, {} to {}",
                    numbered.front(), numbered.back(), names.front(), names.back()));
    wanted = numbered;
  }
  data::DecodedImage first;
  data::ImageFindings facts;
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (const std::string& folder : folders) {
    const auto row = std::find(wanted.begin(), wanted.end(), folder) - wanted.begin();
    if (row == static_cast<std::ptrdiff_t>(wanted.size()))
      refuse_import(
          (path / folder).string(),
          fmt::format("'{}' is not one of the classes {}", folder, fmt::join(names, ", ")),
          "a folder for each class by name, or a full set of numbered ones from 0 on",
          "give --data and --classes that the set was made from");
    for (const fs::path& file : data::images_in(path / folder)) {
      append_image(file, first, pixels, facts);
      labels.push_back(static_cast<int64_t>(row));
    }
  }
  if (labels.empty()) refuse_import(path.string(), "there are no class folders with images");
  for (const std::string& note : facts.notes(/*upright=*/true)) table.notes.push_back(note);
  const at::Tensor flat = at::tensor(pixels, at::kByte);
  table.tensors["images"] = flat.view({-1, first.channels, first.height, first.width});
  table.tensors["labels"] = at::tensor(labels, at::kLong);
  table.texts["class_names"] = names;
  return table;
}

}  // namespace retort::synthetic
