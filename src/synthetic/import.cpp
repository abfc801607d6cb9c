// Published sets become bundles: the importers give a table of tensors, which is checked, brought
// to network input and put in class order here.
#include "synthetic/import.h"

#include <fmt/format.h>

#include <cmath>

#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/version.h"
#include "synthetic/check.h"

namespace retort::synthetic {
namespace {

// No published set has more classes; a wild label must not make a million class names.
constexpr int64_t kMostClasses = 100000;

/// The first tensor of the table under one of the names that published files use.
at::Tensor first_of(const ImportedTable& table, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto found = table.tensors.find(name);
    if (found != table.tensors.end()) return found->second;
  }
  return {};
}

std::string names_in(const ImportedTable& table) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : table.tensors)
    names.push_back(fmt::format("{} [{}]", name, fmt::join(tensor.sizes().vec(), ", ")));
  return names.empty() ? "and no other tensors" : fmt::format("only {}", fmt::join(names, ", "));
}

std::vector<double> numbers_of(const ImportedTable& table, const std::string& name) {
  const at::Tensor tensor = first_of(table, {name}).to(at::kDouble).contiguous();
  return {tensor.data_ptr<double>(), tensor.data_ptr<double>() + tensor.numel()};
}

/// The file's own preprocessing where it has one; else the given one.
data::Preprocessing preprocessing_of(const ImportedTable& table, const ImportOptions& options,
                                     const std::string& path) {
  StoredPreprocessing stored{"", {}, {}, table.tensors};
  const auto kind = table.texts.find("preprocessing");
  if (kind != table.texts.end() && kind->second.size() == 1) stored.kind = kind->second[0];
  const bool has_mean = table.tensors.count("mean") != 0 && table.tensors.count("std") != 0;
  const bool has_matrices = table.tensors.count("zca_matrix") != 0;
  // A file of ours without its whitening matrices needs the data set's.
  if (stored.kind.empty() || (stored.kind == "zca" && !has_matrices)) {
    if (!has_mean) return options.preprocessing;
    stored.kind = "mean_std";
  }
  if (has_mean) {
    stored.mean = numbers_of(table, "mean");
    stored.deviation = numbers_of(table, "std");
  }
  std::string problem;
  data::Preprocessing preprocessing = restore(stored, problem);
  if (!problem.empty()) refuse_import(path, problem);
  return preprocessing;
}

at::Tensor network_input(at::Tensor images, const data::Preprocessing& preprocessing,
                         const std::string& path) {
  if (images.dim() != 4 || images.numel() == 0)
    refuse_import(
        path, fmt::format("its images have the shape [{}]", fmt::join(images.sizes().vec(), ", ")));
  if (images.scalar_type() != at::kByte) {
    if (!images.is_floating_point()) refuse_import(path, "its images are neither bytes nor floats");
    return images.to(at::kFloat);
  }
  const auto is_depth = [](int64_t size) { return size == 1 || size == 3; };
  if (!is_depth(images.size(1)) && is_depth(images.size(3)))
    images = images.permute({0, 3, 1, 2}).contiguous();
  const int64_t channels = images.size(1), pixels = images[0].numel();
  if (preprocessing.kind() == "mean_std" &&
      static_cast<int64_t>(preprocessing.mean().size()) != channels)
    refuse_import(path, fmt::format("its images have {} channels, mean and std {}", channels,
                                    preprocessing.mean().size()));
  if (preprocessing.kind() == "zca" && preprocessing.zca_mean().numel() != pixels)
    refuse_import(path, "its images have another size than the whitening");
  return preprocessing.apply(images, at::kCPU);
}

/// Labels as int64 [M], and soft labels where the file has rows of numbers instead.
void read_labels(Bundle& bundle, const ImportedTable& table, const std::string& path) {
  at::Tensor labels = first_of(table, {"labels", "label", "targets", "y", "label_syn"});
  at::Tensor soft = first_of(table, {"soft_labels"});
  if (labels.defined() && labels.dim() == 2 && labels.size(1) > 1 && labels.is_floating_point()) {
    if (!soft.defined()) soft = labels;
    labels = at::Tensor();
  }
  if (soft.defined()) {
    if (soft.dim() != 2 || soft.size(1) > kMostClasses || !soft.is_floating_point())
      refuse_import(path, "its soft labels are not of shape [M, K]");
    bundle.soft_labels = soft.to(at::kFloat).contiguous();
    if (!labels.defined() && soft.numel() > 0) labels = bundle.soft_labels.argmax(1);
  }
  if (!labels.defined()) refuse_import(path, "it has no labels, " + names_in(table));
  if (labels.dim() == 2 && labels.size(1) == 1) labels = labels.squeeze(1);
  bundle.labels = labels.to(at::kLong).contiguous();
  if (labels.is_floating_point() && !at::equal(bundle.labels.to(labels.scalar_type()), labels))
    refuse_import(path, "its labels are not whole numbers");
}

std::vector<std::string> class_names_of(const Bundle& bundle, const ImportedTable& table,
                                        const ImportOptions& options, const std::string& path) {
  const auto own = table.texts.find("class_names");
  if (own != table.texts.end()) return own->second;
  if (!options.class_names.empty()) return options.class_names;
  if (bundle.labels.numel() == 0) return {};
  const auto largest = bundle.labels.max().item<int64_t>();
  if (largest >= kMostClasses) refuse_import(path, fmt::format("a label is {}", largest));
  const int64_t classes = bundle.soft_labels.defined() ? bundle.soft_labels.size(1) : largest + 1;
  std::vector<std::string> names;
  for (int64_t c = 0; c < classes; ++c) names.push_back(std::to_string(c));
  return names;
}

void put_in_class_order(Bundle& bundle) {
  const at::Tensor order = at::argsort(bundle.labels, /*stable=*/true, 0, false);
  bundle.images = bundle.images.index_select(0, order);
  bundle.labels = bundle.labels.index_select(0, order);
  if (bundle.soft_labels.defined()) bundle.soft_labels = bundle.soft_labels.index_select(0, order);
}

Bundle bundle_of(const ImportedTable& table, const ImportOptions& options,
                 const std::string& path) {
  Bundle bundle;
  const at::Tensor images =
      first_of(table, {"images_float", "images", "image", "image_syn", "data", "x", "x_train"});
  if (!images.defined()) refuse_import(path, "it has no images, " + names_in(table));
  bundle.preprocessing = preprocessing_of(table, options, path);
  bundle.images = network_input(images, bundle.preprocessing, path);
  read_labels(bundle, table, path);
  if (bundle.labels.dim() != 1 || bundle.labels.size(0) != bundle.images.size(0))
    refuse_import(path, fmt::format("it has {} images and {} labels", bundle.images.size(0),
                                    bundle.labels.numel()));
  if (bundle.soft_labels.defined() && bundle.soft_labels.size(0) != bundle.images.size(0))
    refuse_import(path, fmt::format("it has {} images and {} soft labels", bundle.images.size(0),
                                    bundle.soft_labels.size(0)));
  bundle.class_names = class_names_of(bundle, table, options, path);
  const at::Tensor rate = first_of(table, {"student_learning_rate", "syn_lr", "lr"});
  if (rate.defined() && rate.numel() == 1) bundle.student_learning_rate = rate.item<double>();
  put_in_class_order(bundle);
  return bundle;
}

/// A text that the file carries under `key`, or `otherwise`.
std::string text_or(const ImportedTable& table, const std::string& key, std::string otherwise) {
  const auto found = table.texts.find(key);
  return found != table.texts.end() && found->second.size() == 1 ? found->second[0] : otherwise;
}

ImportedTable read_table(const std::filesystem::path& path, const ImportOptions& options,
                         int64_t which) {
  if (std::filesystem::is_directory(path)) return import_folder(path, options.class_names);
  return path.extension() == ".npz" ? import_npz(path) : import_pt(path, which);
}

}  // namespace

void refuse_import(const std::string& path, const std::string& found) {
  throw DataError({"importing '" + path + "'", found,
                   "images [M, C, H, W] with labels, as .pt, .npz or class folders of images",
                   "docs/formats.md lists the layouts that are known"});
}

Bundle import_bundle(const std::filesystem::path& path, const ImportOptions& options,
                     int64_t which) {
  if (!std::filesystem::exists(path))
    throw DataError::missing(path.string(), "a .pt or .npz file, or a folder of class folders");
  const ImportedTable table = read_table(path, options, which);
  Bundle bundle = bundle_of(table, options, path.string());
  bundle.method = "imported";
  bundle.data_name = text_or(table, "data_name", options.data_name);
  bundle.network = text_or(table, "network", "");
  bundle.augmentation = text_or(table, "augmentation", "");
  bundle.storage_bytes = bundle.stored_bytes();
  bundle.program_version = version();
  const std::string problem = bundle_problem(bundle);
  if (!problem.empty()) refuse_import(path.string(), problem);
  return bundle;
}

}  // namespace retort::synthetic
