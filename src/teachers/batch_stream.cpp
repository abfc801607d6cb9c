// Batches of views with their targets: the mixed classes, or the teacher's logits.
#include "teachers/soft_labels.h"

namespace retort::teachers {
namespace {

class ViewStream : public train::BatchStream {
 public:
  explicit ViewStream(const BatchStreamSetting& setting) : setting_(setting) {
    TORCH_CHECK(setting.labels != Labels::kLive || setting.teacher, "live labels need a teacher");
    TORCH_CHECK(setting.labels != Labels::kStored || setting.stored, "there are no stored labels");
  }
  int64_t batches() const override { return setting_.views.batches(); }

  train::LabelledBatch get(int64_t epoch, int64_t batch) const override {
    if (setting_.labels == Labels::kStored) return stored(epoch * batches() + batch);
    train::Views::Batch view = setting_.views.get(epoch, batch);
    if (setting_.labels == Labels::kLive)
      return taught(view.images, setting_.teacher->logits(view.images, setting_.batch_statistics));
    return {view.images, {augment::mix_targets(distributions(view.targets), view.mix)}};
  }

 private:
  train::LabelledBatch stored(int64_t step) const {
    const int64_t block = step % setting_.stored->blocks();
    const int64_t place = setting_.stored->place(block);
    const at::Tensor images = setting_.views.get(place / batches(), place % batches()).images;
    return taught(images, setting_.stored->logits(block).to(images.device()));
  }
  train::LabelledBatch taught(const at::Tensor& images, const at::Tensor& logits) const {
    losses::Targets targets{logits, losses::Kind::kKl, setting_.temperature};
    targets.temperature_squared = setting_.temperature_squared;
    return {images, targets};
  }
  at::Tensor distributions(const at::Tensor& targets) const {
    if (targets.is_floating_point()) return targets;
    return at::one_hot(targets, setting_.classes).to(at::kFloat);
  }

  const BatchStreamSetting setting_;
};

}  // namespace

std::unique_ptr<train::BatchStream> make_batch_stream(const BatchStreamSetting& setting) {
  return std::make_unique<ViewStream>(setting);
}

}  // namespace retort::teachers
