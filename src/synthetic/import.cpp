// Published sets become bundles: the importers give a table of tensors, which is checked, brought
// to network input and put in class order here.
#include "synthetic/import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/file.h"
#include "core/version.h"
#include "retort/core/error.h"
#include "synthetic/check.h"

namespace retort::synthetic {
namespace {

// No published set has more classes; a wild label must not make a million class names.
constexpr int64_t kMostClasses = 100000;

std::vector<double> numbers_of(const ImportedTable& table, const std::string& name) {
  const at::Tensor tensor = first_of(table, {name}), all = tensor.to(at::kDouble).contiguous();
  std::vector<double> numbers(all.data_ptr<double>(), all.data_ptr<double>() + all.numel());
  if (tensor.scalar_type() == at::kFloat)  // what was meant: 0.4914 rather than 0.49140000343
    for (double& number : numbers)
      number = std::stod(fmt::format("{}", static_cast<float>(number)));
  return numbers;
}

/// The file's own preprocessing, where it has one.
std::optional<data::Preprocessing> own_preprocessing(const ImportedTable& table,
                                                     const std::string& path) {
  StoredPreprocessing stored{"", {}, {}, table.tensors};
  const auto kind = table.texts.find("preprocessing");
  if (kind != table.texts.end() && kind->second.size() == 1) stored.kind = kind->second[0];
  const bool has_mean = table.tensors.count("mean") != 0 && table.tensors.count("std") != 0;
  const bool has_matrices = table.tensors.count("zca_matrix") != 0;
  // A file of ours without its whitening matrices needs the data set's.
  if (stored.kind.empty() || (stored.kind == "zca" && !has_matrices)) {
    if (!has_mean) return {};
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

/// "0", "1" and so on: names that were never given.
bool are_numbers(const std::vector<std::string>& names) {
  for (size_t c = 0; c < names.size(); ++c)
    if (names[c] != std::to_string(c)) return false;
  return true;
}

/// "class 3 is 'cat'", or how many there are.
std::string first_difference(const std::vector<std::string>& names,
                             const std::vector<std::string>& others) {
  for (size_t c = 0; c < std::min(names.size(), others.size()); ++c)
    if (names[c] != others[c]) return fmt::format("class {} is '{}'", c, names[c]);
  return fmt::format("there are {}", names.size());
}

std::vector<std::string> class_names_of(const Bundle& bundle, const ImportedTable& table,
                                        const ImportOptions& options, const std::string& path) {
  const auto own = table.texts.find("class_names");
  const bool given = !options.class_names.empty();
  if (own != table.texts.end() && !(given && are_numbers(own->second))) {
    if (given && own->second != options.class_names)
      refuse_import(path, "of its classes, " + first_difference(own->second, options.class_names),
                    "the data's classes in their order: " +
                        first_difference(options.class_names, own->second),
                    "give --data and --classes that the set was made from");
    return own->second;
  }
  if (given) return options.class_names;
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

/// Classes of which the set holds nothing: more often another data set than a choice.
void note_empty_classes(const Bundle& bundle, std::vector<std::string>& notes) {
  const std::vector<int64_t> counts = bundle.counts();
  const auto empty = std::count(counts.begin(), counts.end(), 0);
  if (empty > 0)
    notes.push_back(fmt::format("{} of {} classes have no image in the set", empty, counts.size()));
}

/// The file's own preprocessing goes before the data's: its images are in that space.
void note_preprocessing(const data::Preprocessing& own, const ImportOptions& options,
                        std::vector<std::string>& notes) {
  const auto words = [](const data::Preprocessing& one) {
    return one.kind() == "mean_std"
               ? fmt::format("mean {:.4g} and deviation {:.4g}", fmt::join(one.mean(), ", "),
                             fmt::join(one.deviation(), ", "))
               : "'" + one.kind() + "'";
  };
  const std::string ours = words(own), theirs = words(options.preprocessing);
  if (options.data && ours != theirs)
    notes.push_back("the file names its own normalisation, " + ours +
                    ", which is kept; --data has " + theirs);
}

Bundle bundle_of(ImportedTable& table, const ImportOptions& options, const std::string& path) {
  Bundle bundle;
  const at::Tensor images =
      first_of(table, {"images_float", "images", "image", "image_syn", "data", "x", "x_train",
                       "images_train", "X_train", "images_syn", "syn_images"});
  if (!images.defined()) refuse_import(path, "it has no images, " + names_in(table));
  const auto own = own_preprocessing(table, path);
  bundle.preprocessing = own.value_or(options.preprocessing);
  if (own) note_preprocessing(*own, options, table.notes);
  bundle.images =
      read_pixels(images, bundle.preprocessing, own.has_value(), options, table.notes, path);
  read_labels(bundle, table, options.labels, path);
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
  if (std::filesystem::is_directory(path)) {
    const data::Dataset* data = options.data;
    return import_folder(path, options.class_names,
                         data ? data->class_ids : std::vector<std::string>());
  }
  return path.extension() == ".npz" ? import_npz(path) : import_pt(path, which);
}

}  // namespace

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

void refuse_import(const std::string& path, const std::string& found) {
  refuse_import(path, found,
                "images [M, C, H, W] with labels, as .pt, .npz or class folders of images",
                "docs/formats.md lists the layouts that are known");
}

void refuse_import(const std::string& path, const std::string& found, const std::string& accepted,
                   const std::string& advice) {
  throw DataError({"importing '" + path + "'", found, accepted, advice});
}

Bundle import_bundle(const std::filesystem::path& path, const ImportOptions& options, int64_t which,
                     std::vector<std::string>* notes) {
  if (!std::filesystem::exists(path))
    throw DataError::missing(path.string(), "a .pt or .npz file, or a folder of class folders");
  ImportedTable table = read_table(path, options, which);
  Bundle bundle = bundle_of(table, options, path.string());
  bundle.method = "imported";
  bundle.data_name = text_or(table, "data_name", options.data_name);
  bundle.network = text_or(table, "network", "");
  bundle.augmentation = text_or(table, "augmentation", "");
  bundle.storage_bytes = bundle.stored_bytes();
  bundle.program_version = version();
  const std::string problem = bundle_problem(bundle);
  if (!problem.empty()) refuse_import(path.string(), problem);
  note_empty_classes(bundle, table.notes);
  if (notes) notes->insert(notes->end(), table.notes.begin(), table.notes.end());
  return bundle;
}

}  // namespace retort::synthetic
