// Sets as .npz files and as class folders of images.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>
#include <sstream>

#include "core/scalar_types.h"
#include "retort/core/archive.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/npy.h"
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

/// The names of the class folders, sorted.
std::vector<std::string> folders_of(const fs::path& path) {
  std::vector<std::string> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.is_directory()) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<fs::path> images_of(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::string ending = entry.path().extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (ending == ".png" || ending == ".jpg" || ending == ".jpeg") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Class names in order: given, listed in the folder, or the folders' own.
std::vector<std::string> classes_of(const fs::path& path,
                                    const std::vector<std::string>& class_names) {
  if (!class_names.empty()) return class_names;
  const fs::path list = path / kClassNamesFile;
  if (!fs::exists(list)) return folders_of(path);
  std::vector<std::string> out;
  std::istringstream lines(read_file(list, uint64_t{1} << 24));
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

/// Appends an image's pixels, [C, H, W]; the first image sets the shape.
void append_image(const fs::path& path, data::DecodedImage& first, std::vector<uint8_t>& pixels) {
  data::DecodedImage image = data::decode_image(read_file(path, kLargestImage), path.string());
  if (first.pixels.empty()) first = image;
  if (image.width != first.width || image.height != first.height ||
      image.channels != first.channels)
    refuse_import(
        path.string(),
        fmt::format("it is {}x{} with {} channels, the first image {}x{} with {}", image.width,
                    image.height, image.channels, first.width, first.height, first.channels));
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t c = 0; c < channels; ++c)
    for (size_t i = c; i < image.pixels.size(); i += channels) pixels.push_back(image.pixels[i]);
}

}  // namespace

ImportedTable import_npz(const fs::path& path) {
  const std::set<std::string> texts = {"class_names", "preprocessing"};
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

ImportedTable import_folder(const fs::path& path, const std::vector<std::string>& class_names) {
  const std::vector<std::string> names = classes_of(path, class_names);
  const std::vector<std::string> wanted = class_folders(names);
  data::DecodedImage first;
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (const std::string& folder : folders_of(path)) {
    const auto row = std::find(wanted.begin(), wanted.end(), folder) - wanted.begin();
    if (row == static_cast<std::ptrdiff_t>(wanted.size()))
      refuse_import((path / folder).string(), fmt::format("'{}' is not one of the classes {}",
                                                          folder, fmt::join(names, ", ")));
    for (const fs::path& file : images_of(path / folder)) {
      append_image(file, first, pixels);
      labels.push_back(static_cast<int64_t>(row));
    }
  }
  if (labels.empty()) refuse_import(path.string(), "there are no class folders with images");
  ImportedTable table;
  const at::Tensor flat = at::tensor(pixels, at::kByte);
  table.tensors["images"] = flat.view({-1, first.channels, first.height, first.width});
  table.tensors["labels"] = at::tensor(labels, at::kLong);
  table.texts["class_names"] = names;
  return table;
}

}  // namespace retort::synthetic
