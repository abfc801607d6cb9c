// Folders of soft labels as SRe2L and CDA publish them (FKD, Shen and Xing, 2022, with CutMix and
// MixUp): epoch_E/batch_B.tar, each a list that torch.save wrote of crops, flips, partners, share,
// box and logits. The order of the images is that of PyTorch's sampler from a seed. RDED publishes
// none: its teacher is asked. The files are untrusted.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "retort/augment/crop.h"
#include "retort/augment/mix.h"
#include "retort/data/batch_source.h"
#include "teachers/soft_labels.h"

namespace retort::teachers {

/// Views of a batch of images, and a teacher's logits of them.
struct FkdBatch {
  std::vector<augment::Crop> crops;
  augment::Mix mix;
  at::Tensor logits;  ///< [N, K]
  int64_t size() const { return std::ssize(crops); }
};

/// Of images of this size. DataError where the file is no such batch.
FkdBatch read_fkd_batch(const std::filesystem::path& path, int64_t height, int64_t width);
/// Logits as they are typed: float16 or float32.
void write_fkd_batch(const std::filesystem::path& path, const FkdBatch& batch, int64_t height,
                     int64_t width);
/// The views of rows of `images` [N, C, H, W].
at::Tensor fkd_views(const at::Tensor& images, const FkdBatch& batch);

/// The orders that PyTorch's RandomSampler gives `images` rows in epochs 0, 1, ... from a generator
/// with `seed`, [epochs, images]. Since 1.13 it draws twice an epoch and drops the second.
at::Tensor torch_orders(uint64_t seed, int64_t images, int64_t epochs, bool twice = true);

/// A folder of such labels of a set.
class FkdLabels {
 public:
  static constexpr uint64_t kSeed = 42;  ///< of the published codes

  /// Looks at the names and at some batches. DataError where files are missing or damaged;
  /// StateError where the labels are not those of these images: the classes that the teacher sees
  /// are those of the images in the order of `seed` for no more than chance.
  FkdLabels(const std::filesystem::path& folder, const at::Tensor& images, const at::Tensor& labels,
            int64_t classes, uint64_t seed = kSeed);

  int64_t epochs() const { return epochs_; }
  int64_t batches() const { return batches_; }
  int64_t batch_size() const { return batch_size_; }
  int64_t bytes() const { return bytes_; }  ///< of all files
  /// The share of rows, of those looked at, whose largest logit is one of the view's classes.
  double agreement() const { return agreement_; }
  std::vector<int64_t> rows(int64_t epoch, int64_t batch) const;
  FkdBatch read(int64_t epoch, int64_t batch) const;

 private:
  void count_files();
  double agreement_of(const at::Tensor& orders, const at::Tensor& labels) const;
  std::filesystem::path folder_;
  int64_t images_, height_, width_, classes_;
  int64_t epochs_ = 0, batches_ = 0, batch_size_ = 0, bytes_ = 0;
  double agreement_ = 0;
  at::Tensor orders_;  // int64 [epochs, images]
};

/// Batches of a source with the labels of a folder, which both must outlive it; epochs beyond the
/// last begin again with the first.
std::unique_ptr<train::BatchStream> make_fkd_stream(const data::BatchSource& source,
                                                    const FkdLabels& labels, double temperature,
                                                    bool temperature_squared);

/// Writes the labels of a plan's views of a source's images as such a folder. What is there of the
/// same views stays; StateError where it is of others. False where a stop was asked for.
/// ConfigError where the plan asks for what the folders cannot hold: shifts, mosaics, int8, top-k,
/// a part of the batches.
bool write_fkd(const std::filesystem::path& folder, const LabelPlan& plan,
               const data::BatchSource& source, const LoadedTeacher& teacher, ProgressStyle style,
               const StopFlag* stop);

}  // namespace retort::teachers
