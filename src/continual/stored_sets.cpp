#include "continual/stored_sets.h"

#include <algorithm>
#include <numeric>

namespace retort::continual {

void StoredSets::add(const synthetic::Bundle& bundle, const Task& task) {
  const at::Tensor classes = at::tensor(task.classes, at::kLong);
  images_.push_back(bundle.images.to(device_));
  labels_.push_back(classes.index_select(0, bundle.labels));
  soft_.emplace_back();
  if (bundle.soft_labels.defined())
    soft_.back() = at::zeros({bundle.labels.size(0), classes_})
                       .index_copy(1, classes, bundle.soft_labels.to(at::kCPU, at::kFloat));
  if (bundle.student_learning_rate) rates_.push_back(*bundle.student_learning_rate);
  bytes_.push_back(bundle.stored_bytes());
}

int64_t StoredSets::stored_bytes(int64_t task) const {
  return std::accumulate(bytes_.begin(), bytes_.begin() + task + 1, int64_t{0});
}

Recalled StoredSets::recall() const {
  const bool soft =
      std::any_of(soft_.begin(), soft_.end(), [](const at::Tensor& one) { return one.defined(); });
  std::vector<at::Tensor> targets, tasks;
  for (size_t t = 0; t < labels_.size(); ++t) {
    const at::Tensor hard = soft ? at::one_hot(labels_[t], classes_).to(at::kFloat) : labels_[t];
    targets.push_back(soft_[t].defined() ? soft_[t] : hard);
    tasks.push_back(at::full_like(labels_[t], static_cast<int64_t>(t)));
  }
  Recalled all{at::cat(images_), at::cat(targets).to(device_), at::cat(tasks)};
  if (!rates_.empty())
    all.learned_rate =
        std::accumulate(rates_.begin(), rates_.end(), 0.0) / static_cast<double>(rates_.size());
  return all;
}

}  // namespace retort::continual
