// The bundle: one safetensors file that holds a distilled set and all that is needed to use it.
// docs/formats.md describes it tensor by tensor.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "retort/data/batch_source.h"
#include "retort/data/dataset.h"
#include "retort/io/tensor_file.h"

namespace retort::synthetic {

/// A distilled (or selected) set.
struct Bundle {
  at::Tensor images;       ///< float32 [M, C, H, W] in network-input space, class after class
  at::Tensor labels;       ///< int64 [M]
  at::Tensor soft_labels;  ///< float32 [M, K] or undefined: targets for training instead of labels
  /// What the rows of soft labels are: "probabilities" (of sum 1), "weights" (of any sum, learned
  /// for a cross-entropy), "targets" (any numbers, of a regression).
  std::string soft_label_kind = "probabilities";
  std::optional<double> student_learning_rate;
  at::Tensor
      step_learning_rates;  ///< float64 [T] or undefined: of every step of an ordered training
  TensorMap compact;        ///< the parametrisation's own tensors where it is not pixels
  std::vector<std::string> class_names;
  data::Preprocessing preprocessing;
  /// ZCA matrices from 64 pixels on are not in the file: `preprocessing` is to be filled from the
  /// data set (fill_preprocessing) before anything but the images and labels is used.
  bool preprocessing_missing = false;
  bool chosen = false;  ///< real images that a method chose: another seed gives another choice
  std::string method, parametrisation = "pixels";
  std::string data_name, data_hash;
  data::SplitIdentity split;  ///< that of its data; imported sets do not know it
  std::string recipe;         ///< the TOML of the run that made it
  std::string protocol;       ///< the evaluation protocol it was made for, by name
  std::string network;        ///< the network it was distilled with
  std::string augmentation;   ///< DSA strategy to train students with
  int64_t storage_bytes = 0;
  int64_t seed = 0;
  std::string program_version;

  int64_t classes() const { return std::ssize(class_names); }
  /// The bytes of every component that must be stored, by name.
  std::vector<std::pair<std::string, int64_t>> storage() const;
  /// Their sum: images or compact tensors, the number of images of each class, soft
  /// labels, learning rate; the preprocessing is not counted.
  int64_t stored_bytes() const;
  /// Stored bytes over the bytes of one float32 image of every class.
  double images_per_class_equivalents() const;
  std::vector<int64_t> counts() const;  ///< images of each class
};

/// What a bundle was made from; `name` is its file or run, for messages.
data::MadeFrom made_from(const Bundle& bundle, const std::string& name);

/// Writes atomically; the same bundle gives the same bytes. StateError where the bundle is not
/// valid, such as images that are NaN.
void save_bundle(const std::filesystem::path& path, const Bundle& bundle);
/// Checks shapes, labels, finiteness, version. DataError, or StateError for a newer format.
Bundle load_bundle(const std::filesystem::path& path);

/// Takes a missing preprocessing from the data set that the bundle was made from; StateError where
/// it is another data set or not whitened. Does nothing where nothing is missing.
void fill_preprocessing(Bundle& bundle, const data::Dataset& dataset);

/// The kinds of files a bundle goes out to and comes in from.
const std::vector<std::string>& export_formats();  ///< "png", "npz", "pt"

/// png: a folder CLASS/NNNNN.png (8 bits, pixels in [0, 1] as displayed); npz: images uint8 and
/// float, labels, mean, std, class_names; pt: a dictionary that torch.load(weights_only=True)
/// reads.
void export_bundle(const Bundle& bundle, const std::string& format,
                   const std::filesystem::path& path);

/// How published files are to be understood where they do not say.
struct ImportOptions {
  std::vector<std::string> class_names;  ///< empty: taken from the file or numbered
  data::Preprocessing preprocessing;     ///< the space that float images are in
  std::string data_name;
  std::string labels = "auto";          ///< rows of numbers: import_labels()
  std::string pixels = "auto";          ///< numbers that are no bytes: import_pixels()
  const data::Dataset* data = nullptr;  ///< what the set was made from, to compare it with
};
/// auto | probabilities | logits (brought through softmax) | targets (of a regression)
const std::vector<std::string>& import_labels();
/// auto | network (input, as preprocessed) | unit (0 to 1) | symmetric (-1 to 1) | bytes (0 to 255)
const std::vector<std::string>& import_pixels();

/// Reads a published set: DC/DSA/DM's res_*.pt ({'data': [[images, labels], ...]}, `which`
/// experiment), MTT's images_*.pt beside labels_*.pt, a plain dictionary {images, labels}, our own
/// .pt, an .npz, or a folder of class folders of image files. What a file says of its own
/// preprocessing and class names goes before the options. What was converted, and what looks as if
/// it were of another kind, is added to `notes`. DataError saying what was found.
Bundle import_bundle(const std::filesystem::path& path, const ImportOptions& options,
                     int64_t which = 0, std::vector<std::string>* notes = nullptr);

/// The training source of a bundle: soft labels where it has them.
std::unique_ptr<data::BatchSource> bundle_source(const Bundle& bundle, at::Device device);

}  // namespace retort::synthetic
