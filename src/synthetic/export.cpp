// Bundles as other programs take them: PNG folders, .npz for NumPy, .pt for PyTorch.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/file.h"
#include "io/archive.h"
#include "io/npy.h"
#include "io/scalar_types.h"
#include "io/torch_file.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "retort/synthetic/bundle.h"
#include "synthetic/check.h"
#include "synthetic/class_folders.h"

namespace retort::synthetic {
namespace {

namespace fs = std::filesystem;

/// The images as displayed: uint8 [M, C, H, W].
at::Tensor displayed(const Bundle& bundle) {
  return bundle.preprocessing.invert(bundle.images.to(at::kCPU))
      .mul(255)
      .round()
      .to(at::kByte)
      .contiguous();
}

void require_preprocessing(const Bundle& bundle) {
  if (bundle.preprocessing_missing)
    throw StateError(
        {"exporting a bundle", "its whitening is not in the file, so its images cannot be shown",
         "bundles with their preprocessing", "name the data set it was made from (--data PATH)"});
}

void write_pngs(const Bundle& bundle, const fs::path& folder) {
  const at::Tensor images = displayed(bundle).permute({0, 2, 3, 1}).contiguous();
  const int64_t height = images.size(1), width = images.size(2), channels = images.size(3);
  const std::vector<std::string> folders = class_folders(bundle.class_names);
  const std::vector<int64_t> counts = bundle.counts();
  const uint8_t* pixels = images.data_ptr<uint8_t>();
  std::string names;
  for (size_t c = 0; c < folders.size(); ++c) {
    names += class_line(bundle.class_names[c]) + "\n";
    std::error_code failed;
    if (!fs::create_directory(folder / folders[c], failed)) {
      errno = failed.value();
      throw ResourceError::io("making the folder '" + (folder / folders[c]).string() + "'");
    }
    for (int64_t i = 0; i < counts[c]; ++i, pixels += height * width * channels)
      write_atomically(folder / folders[c] / fmt::format("{:05}.png", i),
                       data::encode_png(pixels, width, height, channels));
  }
  write_atomically(folder / kClassNamesFile, names);
}

/// The whole folder appears at once, or not at all.
void export_png(const Bundle& bundle, const fs::path& given) {
  const fs::path path = given.has_filename() ? given : given.parent_path();  // without a slash
  require_preprocessing(bundle);
  const int64_t channels = bundle.images.size(1);
  if (channels != 1 && channels != 3)
    throw DataError({"exporting PNG files", fmt::format("images have {} channels", channels),
                     "1 or 3 channels", "export npz or pt"});
  std::error_code failed;
  if (fs::exists(path, failed) && !fs::is_empty(path, failed))
    throw StateError({"exporting to '" + path.string() + "'", "it is there and not empty",
                      "a new or empty folder", "name another folder"});
  const fs::path parent = fs::absolute(path).lexically_normal().parent_path();
  fs::create_directories(parent, failed);
  std::string pattern = (parent / ".retort-export-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw ResourceError::io("making a folder in '" + parent.string() + "'");
  try {
    write_pngs(bundle, pattern);
    fs::permissions(pattern, fs::perms(0755), failed);
    fs::rename(pattern, path, failed);
    if (failed) {
      errno = failed.value();
      throw ResourceError::io("renaming the new folder to '" + path.string() + "'");
    }
  } catch (...) {
    fs::remove_all(pattern, failed);
    throw;
  }
}

/// float32 [C, 1, 1], so that (x - mean) / std is right for [C, H, W] and [M, C, H, W].
at::Tensor broadcastable(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).to(at::kFloat).view({-1, 1, 1});
}

/// What npz and pt have in common, in a fixed order.
std::vector<std::pair<std::string, at::Tensor>> common_tensors(const Bundle& bundle) {
  std::vector<std::pair<std::string, at::Tensor>> out = {{"labels", bundle.labels}};
  if (bundle.soft_labels.defined()) out.emplace_back("soft_labels", bundle.soft_labels);
  if (bundle.step_learning_rates.defined())
    out.emplace_back("step_learning_rates", bundle.step_learning_rates);
  if (bundle.student_learning_rate)
    out.emplace_back("student_learning_rate",
                     at::scalar_tensor(*bundle.student_learning_rate, at::kDouble));
  const StoredPreprocessing stored = stored_form(bundle.preprocessing);
  if (stored.kind == "mean_std") {
    out.emplace_back("mean", broadcastable(stored.mean));
    out.emplace_back("std", broadcastable(stored.deviation));
  }
  out.insert(out.end(), stored.tensors.begin(), stored.tensors.end());
  return out;
}

void export_npz(const Bundle& bundle, const fs::path& path) {
  require_preprocessing(bundle);
  std::vector<std::pair<std::string, std::string>> members;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor held = tensor.to(at::kCPU).contiguous();
    members.emplace_back(name + ".npy",
                         npy_bytes(dtype_of(held.scalar_type()), held.sizes().vec(),
                                   {static_cast<const char*>(held.data_ptr()), held.nbytes()}));
  };
  add("images", displayed(bundle));
  add("images_float", bundle.images);
  for (const auto& [name, tensor] : common_tensors(bundle)) add(name, tensor);
  members.emplace_back("class_names.npy", npy_strings(bundle.class_names));
  members.emplace_back("preprocessing.npy", npy_strings({bundle.preprocessing.kind()}));
  members.emplace_back("data_name.npy", npy_strings({bundle.data_name}));
  if (bundle.soft_labels.defined())
    members.emplace_back("soft_label_kind.npy", npy_strings({bundle.soft_label_kind}));
  write_stored_zip(path, members);
}

void export_pt(const Bundle& bundle, const fs::path& path) {
  std::vector<std::pair<std::string, TorchValue>> entries = {{"images", bundle.images}};
  for (const auto& [name, tensor] : common_tensors(bundle)) entries.emplace_back(name, tensor);
  entries.emplace_back("class_names", bundle.class_names);
  entries.emplace_back("preprocessing",
                       bundle.preprocessing_missing ? "zca" : bundle.preprocessing.kind());
  if (bundle.soft_labels.defined()) entries.emplace_back("soft_label_kind", bundle.soft_label_kind);
  entries.emplace_back("data_name", bundle.data_name);
  entries.emplace_back("network", bundle.network);
  entries.emplace_back("augmentation", bundle.augmentation);
  save_torch_file(path, entries);
}

}  // namespace

const std::vector<std::string>& export_formats() {
  static const std::vector<std::string> formats = {"png", "npz", "pt"};
  return formats;
}

void export_bundle(const Bundle& bundle, const std::string& format, const fs::path& path) {
  if (format == "png") return export_png(bundle, path);
  if (format == "npz") return export_npz(bundle, path);
  if (format == "pt") return export_pt(bundle, path);
  throw ConfigError::unknown("exporting a bundle", "format", format, export_formats());
}

}  // namespace retort::synthetic
