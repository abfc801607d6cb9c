// The batches of a training on a small set, as views of its images: order, crop, flip and mixing
// are functions of seed, epoch and batch, so that labels of them need nothing but the labels.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "retort/augment/crop.h"
#include "retort/augment/mix.h"
#include "retort/data/batch_source.h"
#include "retort/data/dataset.h"

namespace retort::train {

/// How a batch is made.
struct ViewOptions {
  int64_t batch_size = 128;
  double min_crop_area = 0.08;    ///< smallest area of a crop; 1: no crop
  int64_t padding = 0;            ///< above 0: shifts by up to as many pixels in place of crops,
                                  ///< black beyond the edges
  int64_t mosaic = 1;             ///< above 1: as many strips each way are shuffled before the crop
  bool flip = true;               ///< half of the images
  std::string mixing = "cutmix";  ///< none | cutmix | mixup
  double alpha = 1;               ///< shares are drawn from Beta(alpha, alpha)
  bool operator==(const ViewOptions&) const = default;
  std::string text() const;  ///< all of them on one line
};

/// Views of a source's images. Thread-safe.
class Views {
 public:
  /// `source` must outlive it; its images are what `preprocessing` gives. ConfigError on an unknown
  /// mixing.
  Views(const data::BatchSource& source, const ViewOptions& options, uint64_t seed,
        data::Preprocessing preprocessing = {});

  int64_t batches() const;  ///< in an epoch; the last one may be smaller
  int64_t rows_of(int64_t batch) const;

  struct Batch {
    at::Tensor images;   ///< [N, C, H, W], as a teacher and a student see them
    at::Tensor targets;  ///< the source's, in the batch's order, unmixed
    augment::Mix mix;
  };
  Batch get(int64_t epoch, int64_t batch) const;

 private:
  at::Tensor shuffled(const at::Tensor& images, const std::vector<int64_t>& rows,
                      uint64_t epoch) const;
  at::Tensor shown(const at::Tensor& images, const std::vector<augment::Crop>& crops) const;
  const data::BatchSource& source_;
  const ViewOptions options_;
  const augment::Mix::Kind mixing_;
  const uint64_t seed_;
  const data::Preprocessing preprocessing_;
};

}  // namespace retort::train
