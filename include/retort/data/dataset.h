// A data set ready for use: uint8 tensors, splits, and the way from bytes to network input.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/data/raw.h"
#include "retort/data/split_identity.h"

namespace retort::data {

/// Which data and how they are prepared; the same options for every command.
struct DataOptions {
  std::string data = "shapes";  ///< a path, or "shapes"
  int64_t resolution = 0;
  std::string resize = "crop";  ///< crop | eval-crop | squash
  std::string exif = "apply";   ///< apply | ignore
  bool skip_damaged = false;
  bool greyscale = false;
  std::vector<std::string> classes = {};
  std::string label_set = "fine";      ///< fine | coarse
  std::string normalisation = "auto";  ///< auto (published, else computed) | computed | none | zca
                                       ///< | cifar10 | imagenet | given
  std::vector<std::string> mean_and_deviation = {};  ///< of `given`: C numbers, then C
  double zca_epsilon = 0.1;
  double validation_fraction = 0.0;  ///< of the training part, per class, split off by seed
  double test_fraction = 0.2;        ///< where the source has no test part
  int64_t split_seed = 0;
  void declare(OptionSet& options);
  ReadOptions reading() const;  ///< the part that readers need
};

/// Images and labels of one part; `rows_by_class[c]` are the row numbers of class c, ascending.
struct Split {
  at::Tensor images;  ///< uint8 [N, C, H, W], CPU
  at::Tensor labels;  ///< int64 [N], CPU
  std::vector<std::vector<int64_t>> rows_by_class;
  int64_t size() const { return labels.defined() ? labels.size(0) : 0; }
};
Split make_split(at::Tensor images, at::Tensor labels, int64_t classes);

/// The map between uint8 pixels and network input: x/255, then mean/std or ZCA whitening.
/// ZCA: (x - mean) W with W = U (S + epsilon)^(-1/2) U^T of the training covariance (n - 1).
class Preprocessing {
 public:
  Preprocessing() = default;  ///< x/255 only
  static Preprocessing mean_std(std::vector<double> mean, std::vector<double> deviation);
  /// mean [D], whitening and inverse [D, D], float32, D = C*H*W.
  static Preprocessing zca(at::Tensor mean, at::Tensor whitening, at::Tensor inverse);

  /// uint8 [N, C, H, W] to float32 network input of the same shape on `device`.
  at::Tensor apply(const at::Tensor& bytes, at::Device device) const;
  /// The same of some rows (int64 [n], on the device of `bytes`), in one pass on a CPU.
  at::Tensor gather(const at::Tensor& bytes, const at::Tensor& rows, at::Device device) const;
  /// Network input to pixels in [0, 1], clamped; float32, on the device of `input`.
  at::Tensor invert(const at::Tensor& input) const;
  /// The same map with its tensors on `device`, so that repeated use there copies nothing.
  Preprocessing on(at::Device device) const;

  const std::string& kind() const { return kind_; }  ///< "none", "mean_std", "zca"
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& deviation() const { return deviation_; }
  const at::Tensor& zca_mean() const { return zca_mean_; }
  const at::Tensor& zca_matrix() const { return zca_matrix_; }
  const at::Tensor& zca_inverse() const { return zca_inverse_; }

 private:
  std::string kind_ = "none";
  std::vector<double> mean_, deviation_;
  at::Tensor scale_, shift_;  // [C, 1, 1] float32: input = byte * scale + shift
  at::Tensor zca_mean_, zca_matrix_, zca_inverse_;
};

/// A data set, split and ready.
struct Dataset {
  std::string name, reader;
  int64_t channels = 0, height = 0, width = 0;
  std::vector<std::string> class_names;
  std::vector<std::string> class_ids;  ///< wnids or folder names, where they differ; else empty
  Split train, validation, test;       ///< validation may be empty
  Preprocessing preprocessing;         ///< fitted to the training part
  std::string hash;                    ///< of all pixels, labels and class names, 16 hex digits
  SplitIdentity split;                 ///< how the rows were dealt out to the parts
  std::vector<std::string> notes;
  bool mirrorable = true;  ///< a mirrored image keeps its class; not of characters
  int64_t classes() const { return static_cast<int64_t>(class_names.size()); }
};

/// Reads, splits and fits the preprocessing. ZCA matrices are cached under `cache` by data hash and
/// settings where `cache` is not empty. What takes long says so on `progress`. Throws DataError,
/// ConfigError.
Dataset open_dataset(const DataOptions& options, const std::filesystem::path& cache = {},
                     const ProgressStyle& progress = {});

/// What the parts are; `test_split` where the test part was split off of the training part.
SplitIdentity identity_of(const Dataset& set, const DataOptions& options, bool test_split);

/// From a read set; what open_dataset does after reading.
Dataset prepare_dataset(RawDataset raw, const DataOptions& options,
                        const std::filesystem::path& cache = {},
                        const ProgressStyle& progress = {});

/// The same of images that lie in memory already and are used as they are, without a copy where
/// none is split. `about` says all but the images; an empty `test` is split off.
Dataset prepare_dataset(const RawDataset& about, Split train, Split test,
                        const DataOptions& options, const std::filesystem::path& cache = {},
                        const ProgressStyle& progress = {});

/// Fits ZCA to uint8 images [N, C, H, W]: streamed covariance and eigen-decomposition in float64.
Preprocessing fit_zca(const at::Tensor& images, double epsilon);

}  // namespace retort::data
