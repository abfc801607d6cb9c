// Batches of real images, kept as bytes until they are fetched, and of tensors in memory.
#include "retort/data/batch_source.h"

#include <torch/types.h>

#include <utility>

#include "core/sizes.h"
#include "retort/data/class_sampler.h"

namespace retort::data {
namespace {

class RealSource : public BatchSource {
 public:
  RealSource(const Split& split, const Preprocessing& preprocessing, at::Device device)
      : images_(split, preprocessing, device) {}
  int64_t size() const override { return images_.size(); }
  Batch get(const std::vector<int64_t>& indices) const override { return images_.batch(indices); }

 private:
  const ClassSampler images_;
};

/// Some rows of another source.
class RowsSource : public BatchSource {
 public:
  RowsSource(std::unique_ptr<BatchSource> base, std::vector<int64_t> rows)
      : base_(std::move(base)), rows_(std::move(rows)) {
    for (const int64_t row : rows_)
      TORCH_CHECK(row >= 0 && row < base_->size(), "row ", row, " of ", base_->size());
  }
  int64_t size() const override { return std::ssize(rows_); }
  Batch get(const std::vector<int64_t>& indices) const override {
    std::vector<int64_t> rows;
    rows.reserve(indices.size());
    for (const int64_t i : indices) rows.push_back(rows_.at(to_size(i)));
    return base_->get(rows);
  }

 private:
  std::unique_ptr<BatchSource> base_;
  std::vector<int64_t> rows_;
};

class TensorSource : public BatchSource {
 public:
  TensorSource(at::Tensor images, at::Tensor targets)
      : images_(std::move(images)), targets_(std::move(targets)) {
    TORCH_CHECK(images_.size(0) == targets_.size(0), images_.size(0), " images and ",
                targets_.size(0), " targets");
  }
  int64_t size() const override { return images_.size(0); }
  Batch get(const std::vector<int64_t>& indices) const override {
    const at::Tensor rows = at::tensor(indices, at::kLong);
    return {images_.index_select(0, rows.to(images_.device())),
            targets_.index_select(0, rows.to(targets_.device()))};
  }

 private:
  at::Tensor images_, targets_;
};

}  // namespace

std::unique_ptr<BatchSource> real_source(const Split& split, const Preprocessing& preprocessing,
                                         at::Device device) {
  return std::make_unique<RealSource>(split, preprocessing, device);
}

std::unique_ptr<BatchSource> real_source(const Split& split, const Preprocessing& preprocessing,
                                         at::Device device, std::vector<int64_t> rows) {
  return std::make_unique<RowsSource>(real_source(split, preprocessing, device), std::move(rows));
}

std::unique_ptr<BatchSource> tensor_source(at::Tensor images, at::Tensor targets) {
  return std::make_unique<TensorSource>(std::move(images), std::move(targets));
}

}  // namespace retort::data
