#include "eval/post_training.h"

#include <fmt/format.h>

#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort::eval {
namespace {

constexpr const char* kDoing = "preparing the labels of students";

void require_no_labels(const Protocol& protocol, const EvalOptions& options) {
  const bool plain = options.student_labels == "auto" || options.student_labels == "hard";
  if (plain && options.teacher.empty()) return;
  throw ConfigError(ErrorMessage{kDoing,
                                 fmt::format("protocol '{}' takes no {}", protocol.name,
                                             plain ? "--teacher" : "--student-labels"),
                                 "a protocol of post-training, such as rded",
                                 "`retort list protocols` shows them"});
}

}  // namespace

LabelSource::LabelSource(const Protocol& protocol, const synthetic::Bundle& bundle,
                         const data::Dataset& data, const EvalOptions& options, at::Device device)
    : post_(protocol.post),
      preprocessing_(bundle.preprocessing),
      seed_(static_cast<uint64_t>(options.seed)),
      classes_(data.classes()) {
  if (!post_) {
    require_no_labels(protocol, options);
    return;
  }
  views_ = views_of(protocol, bundle);
  const std::string& labels = options.student_labels;
  const bool stored = labels != "auto" && labels != "hard" && labels != "live";
  if (labels == "hard") return;
  if (!options.teacher.empty() || labels == "live")
    teacher_ = std::make_unique<teachers::LoadedTeacher>(
        teachers::open_teacher(options.teacher, kDoing, data, device));
  if (!stored) return;
  if (std::filesystem::is_directory(labels)) {
    open_folder(labels, bundle);
  } else {
    open_stored(labels, bundle);
    data::check_split({"the teacher of the labels '" + labels + "'", stored_->plan().data_hash,
                       stored_->plan().split},
                      kDoing, data);
  }
  if (!teacher_ && (options.random_baseline || options.whole_set))
    throw ConfigError(ErrorMessage{kDoing, "real images have no stored labels",
                                   "--teacher, for labels of real images",
                                   "or give --random-baseline=no"});
}

void LabelSource::open_stored(const std::string& path, const synthetic::Bundle& bundle) {
  stored_ = std::make_unique<teachers::StoredLabels>(path);
  const teachers::LabelPlan& plan = stored_->plan();
  const std::string doing = "taking the labels of '" + path + "'";
  const std::string again = "make them again with `retort relabel`";
  if (plan.images_hash != teachers::images_hash(bundle.images, bundle.labels) ||
      plan.images != bundle.images.size(0) || plan.classes != classes_)
    throw StateError(
        ErrorMessage{doing, "they are labels of another set (its hash differs)", {}, again});
  if (!(plan.views == views_))
    throw StateError(ErrorMessage{doing, "they are labels of " + plan.views.text(),
                                  "those of the protocol: " + views_.text(),
                                  "give the --protocol that they were made for, or " + again});
  if (plan.batch_statistics != post_->batch_statistics)
    throw StateError(ErrorMessage{
        doing, "the teacher's BatchNorm took other statistics than the protocol's", {}, again});
  if (teacher_ && teacher_->hash != plan.teacher_hash)
    throw StateError(ErrorMessage{
        doing, "they are another teacher's", {}, "give the --teacher that made them, or " + again});
  seed_ = plan.seed;
}

/// Its views are its own: of the protocol, batches are as large.
void LabelSource::open_folder(const std::string& path, const synthetic::Bundle& bundle) {
  folder_ = std::make_unique<teachers::FkdLabels>(path, bundle.images, bundle.labels, classes_);
  views_.batch_size = folder_->batch_size();
}

LabelledViews LabelSource::teach(const data::BatchSource& source, bool distilled) const {
  LabelledViews taught;
  taught.views = std::make_unique<train::Views>(source, views_, seed_, preprocessing_);
  teachers::BatchStreamSetting setting{*taught.views};
  setting.classes = classes_;
  setting.temperature = post_->temperature;
  setting.temperature_squared = post_->temperature_squared;
  setting.batch_statistics = post_->batch_statistics;
  taught.labels = "hard";
  if (folder_ && distilled) {
    taught.labels = "stored";
    taught.label_bytes = folder_->bytes();
    taught.batch_stream =
        teachers::make_fkd_stream(source, *folder_, post_->temperature, post_->temperature_squared);
    return taught;
  }
  if (stored_ && distilled) {
    setting.labels = teachers::Labels::kStored;
    setting.stored = stored_.get();
    taught.labels = "stored";
    taught.label_bytes = stored_->bytes();
  } else if (teacher_) {
    setting.labels = teachers::Labels::kLive;
    setting.teacher = teacher_.get();
    taught.labels = "live";
    taught.teacher_bytes = teacher_->bytes();
  }
  taught.batch_stream = teachers::make_batch_stream(setting);
  return taught;
}

Best::Best(const nets::Network& network, const data::Split& validation,
           const data::Preprocessing& preprocessing, at::Device device, int64_t students)
    : network_(network),
      validation_(validation),
      preprocessing_(preprocessing),
      device_(device),
      accuracies_(to_size(students), -1),
      kept_(to_size(students)) {}

void Best::see(const train::Epoch& epoch) {
  if (!on() || 5 * epoch.done <= 4 * epoch.total) return;
  train::ModelState now;
  now.theta = epoch.theta;
  now.state = epoch.state;
  const double found = train::accuracy(network_, now, validation_, preprocessing_, device_);
  if (found <= accuracies_[epoch.index]) return;
  accuracies_[epoch.index] = found;
  kept_[epoch.index].theta = epoch.theta.clone();
  if (epoch.state.defined()) kept_[epoch.index].state = epoch.state.clone();
}

}  // namespace retort::eval
