// A folder of FKD labels: its files, the order of its images, and training on it.
#include "teachers/fkd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort::teachers {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& folder, int64_t epoch, int64_t batch) {
  return folder / fmt::format("epoch_{}", epoch) / fmt::format("batch_{}.tar", batch);
}

[[noreturn]] void refuse(const fs::path& folder, const std::string& found) {
  throw DataError(
      ErrorMessage{"reading the labels in '" + folder.string() + "'",
                   found,
                   "folders epoch_0, epoch_1, ..., each of batch_0.tar, batch_1.tar, ...",
                   {}});
}

class FkdStream : public train::BatchStream {
 public:
  FkdStream(const data::BatchSource& source, const FkdLabels& labels, double temperature,
            bool squared)
      : source_(source), labels_(labels), temperature_(temperature), squared_(squared) {}
  int64_t batches() const override { return labels_.batches(); }
  train::LabelledBatch get(int64_t epoch, int64_t batch) const override {
    const FkdBatch views = labels_.read(epoch % labels_.epochs(), batch);
    const at::Tensor images =
        fkd_views(source_.get(labels_.rows(epoch % labels_.epochs(), batch)).images, views);
    losses::Targets targets{views.logits.to(images.options()), losses::Kind::kKl, temperature_};
    targets.temperature_squared = squared_;
    return {images, targets};
  }

 private:
  const data::BatchSource& source_;
  const FkdLabels& labels_;
  const double temperature_;
  const bool squared_;
};

/// Rows of a batch whose largest logit is the class of the image, or of its partner.
int64_t agreeing(const FkdBatch& batch, const at::Tensor& classes) {
  const at::Tensor found = batch.logits.to(at::kFloat).argmax(1);
  at::Tensor right = found.eq(classes);
  if (batch.mix.kind != augment::Mix::Kind::kNone)
    right = right.logical_or(
        found.eq(classes.index_select(0, at::tensor(batch.mix.partners, at::kLong))));
  return right.sum().item<int64_t>();
}

}  // namespace

at::Tensor torch_orders(uint64_t seed, int64_t images, int64_t epochs, bool twice) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<at::Tensor> orders;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    orders.push_back(at::randperm(images, generator, at::kLong));
    if (twice) at::randperm(images, generator, at::kLong);
  }
  return at::stack(orders);
}

FkdLabels::FkdLabels(const fs::path& folder, const at::Tensor& images, const at::Tensor& labels,
                     int64_t classes, uint64_t seed)
    : folder_(folder),
      images_(images.size(0)),
      height_(images.size(2)),
      width_(images.size(3)),
      classes_(classes) {
  count_files();
  const FkdBatch first = read(0, 0), last = read(0, batches_ - 1);
  batch_size_ = first.size();
  const int64_t held = batch_size_ * (batches_ - 1) + last.size();
  if (held != images_ || first.logits.size(1) != classes_)
    throw StateError(ErrorMessage{
        "taking the labels in '" + folder.string() + "'",
        fmt::format("they are of {} images and {} classes", held, first.logits.size(1)),
        fmt::format("those of the set: {} images, {} classes", images_, classes_),
        "give the labels that were made of this set"});
  const at::Tensor host = labels.to(at::kCPU);
  for (const bool twice : {true, false}) {
    const at::Tensor orders = torch_orders(seed, images_, epochs_, twice);
    const double found = agreement_of(orders, host);
    if (orders_.defined() && found <= agreement_) continue;
    orders_ = orders;
    agreement_ = found;
  }
  const double chance = std::min(2.0 / static_cast<double>(classes_), 1.0);
  if (agreement_ > chance + 0.1 * (1 - chance)) return;
  throw StateError(ErrorMessage{
      "taking the labels in '" + folder.string() + "'",
      fmt::format("the teacher sees one of the classes of its view in {:.1f} % of the images, and "
                  "would in {:.1f} % by chance",
                  100 * agreement_, 100 * chance),
      "labels of these images, class after class as their folders are sorted",
      "give the set that they were made of, with its classes in that order; labels of a teacher "
      "that "
      "does not know these images cannot be told from those of others"});
}

/// Epochs and batches from 0 on, without a gap.
void FkdLabels::count_files() {
  while (fs::is_directory(folder_ / fmt::format("epoch_{}", epochs_))) ++epochs_;
  if (epochs_ == 0) refuse(folder_, "it has no folder epoch_0");
  while (fs::is_regular_file(file_of(folder_, 0, batches_))) ++batches_;
  if (batches_ == 0) refuse(folder_, "epoch_0 has no batch_0.tar");
  for (int64_t epoch = 0; epoch < epochs_; ++epoch)
    for (int64_t batch = 0; batch < batches_; ++batch) {
      std::error_code missing;
      const auto size = fs::file_size(file_of(folder_, epoch, batch), missing);
      if (missing) refuse(folder_, fmt::format("epoch_{} has no batch_{}.tar", epoch, batch));
      bytes_ += static_cast<int64_t>(size);
    }
}

/// Over some batches of the second epoch, whose order says how the sampler drew; of the first,
/// where there is one alone.
double FkdLabels::agreement_of(const at::Tensor& orders, const at::Tensor& labels) const {
  constexpr int64_t kEnough = 2000;  // rows
  const int64_t epoch = std::min<int64_t>(1, epochs_ - 1);
  int64_t seen = 0, right = 0;
  for (int64_t batch = 0; batch < batches_ && seen < kEnough; ++batch) {
    const FkdBatch views = read(epoch, batch);
    const int64_t begin = batch * batch_size_;
    if (begin + views.size() > images_) refuse(folder_, "its batches are not of one size");
    right += agreeing(views, labels.index_select(0, orders[epoch].narrow(0, begin, views.size())));
    seen += views.size();
  }
  return static_cast<double>(right) / static_cast<double>(seen);
}

std::vector<int64_t> FkdLabels::rows(int64_t epoch, int64_t batch) const {
  const int64_t begin = batch * batch_size_, end = std::min(begin + batch_size_, images_);
  const int64_t* order = orders_.data_ptr<int64_t>() + epoch * images_;
  return {order + begin, order + end};
}

FkdBatch FkdLabels::read(int64_t epoch, int64_t batch) const {
  const fs::path path = file_of(folder_, epoch, batch);
  FkdBatch views = read_fkd_batch(path, height_, width_);
  const int64_t wanted =
      batch_size_ == 0 ? views.size() : std::min(batch_size_, images_ - batch * batch_size_);
  if (views.size() == wanted && views.logits.size(1) == classes_) return views;
  if (batch_size_ == 0) return views;
  throw DataError::damaged(
      path.string(),
      fmt::format("it holds {} images and {} classes", views.size(), views.logits.size(1)),
      fmt::format("{} images and {} classes", wanted, classes_));
}

std::unique_ptr<train::BatchStream> make_fkd_stream(const data::BatchSource& source,
                                                    const FkdLabels& labels, double temperature,
                                                    bool temperature_squared) {
  return std::make_unique<FkdStream>(source, labels, temperature, temperature_squared);
}

}  // namespace retort::teachers
