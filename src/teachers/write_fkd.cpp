// Writing FKD folders: a file a batch, whole or not at all, so that a later start goes on.
#include <fmt/format.h>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "teachers/fkd.h"

namespace retort::teachers {
namespace {

namespace fs = std::filesystem;

constexpr double kAspect = 4.0 / 3;  // of RandomResizedCrop

void check(const LabelPlan& plan) {
  std::string found;
  if (plan.views.padding > 0) found = "the protocol shifts its images";
  if (plan.views.mosaic > 1) found = "the protocol shuffles patches";
  if (plan.top_k > 0 || plan.precision == "int8") found = "labels are to be packed";
  if (plan.keep < 1) found = "a part of the batches is to be kept";
  if (found.empty()) return;
  throw ConfigError(ErrorMessage{"writing labels as an FKD folder", found,
                                 "crops, all batches, float16 or float32 logits",
                                 "choose another --protocol, or labels in one file"});
}

/// The same draws as train::Views makes, keyed by epoch and image.
FkdBatch views_of(const LabelPlan& plan, int64_t epoch, int64_t batch,
                  const std::vector<int64_t>& rows, int64_t height, int64_t width) {
  const auto e = static_cast<uint64_t>(epoch);
  FkdBatch views;
  for (const int64_t row : rows) {
    RandomStream stream(plan.seed, "views.window", e, static_cast<uint64_t>(row));
    augment::Crop crop = augment::whole_image(height, width);
    if (plan.views.min_crop_area < 1)
      crop = augment::draw_crop(height, width, plan.views.min_crop_area, 1, kAspect, stream);
    crop.flip = plan.views.flip && stream.uniform() < 0.5;
    views.crops.push_back(crop);
  }
  RandomStream stream(plan.seed, "views.mix", e, static_cast<uint64_t>(batch));
  views.mix = augment::draw_mix(augment::parse_mix(plan.views.mixing), plan.views.alpha,
                                std::ssize(rows), height, width, stream);
  return views;
}

/// True where the file holds these views; StateError where it holds others.
bool is_there(const fs::path& path, const FkdBatch& views, int64_t height, int64_t width) {
  if (!fs::exists(path)) return false;
  const FkdBatch found = read_fkd_batch(path, height, width);
  bool same = found.size() == views.size() && found.mix.partners == views.mix.partners;
  for (int64_t i = 0; same && i < views.size(); ++i) {
    const augment::Crop &a = found.crops[to_size(i)], &b = views.crops[to_size(i)];
    same = a.top == b.top && a.left == b.left && a.height == b.height && a.width == b.width &&
           a.flip == b.flip;
  }
  if (same) return true;
  throw StateError(ErrorMessage{"writing '" + path.string() + "'",
                                "it holds labels of other views already",
                                {},
                                "choose another --out, or remove the folder"});
}

}  // namespace

bool write_fkd(const fs::path& folder, const LabelPlan& plan, const data::BatchSource& source,
               const LoadedTeacher& teacher, ProgressStyle style, const StopFlag* stop) {
  check_plan(plan);
  check(plan);
  const at::Tensor orders = torch_orders(FkdLabels::kSeed, plan.images, plan.epochs);
  Progress progress(style, "labels", plan.epochs * plan.batches());
  for (int64_t epoch = 0; epoch < plan.epochs; ++epoch)
    for (int64_t batch = 0; batch < plan.batches(); ++batch) {
      if (stop && stop->requested()) return false;
      const int64_t begin = batch * plan.views.batch_size;
      const int64_t count = std::min(plan.views.batch_size, plan.images - begin);
      const int64_t* order = orders.data_ptr<int64_t>() + epoch * plan.images + begin;
      const std::vector<int64_t> rows(order, order + count);
      const at::Tensor images = source.get(rows).images;
      const int64_t height = images.size(2), width = images.size(3);
      FkdBatch views = views_of(plan, epoch, batch, rows, height, width);
      const fs::path path =
          folder / fmt::format("epoch_{}", epoch) / fmt::format("batch_{}.tar", batch);
      if (!is_there(path, views, height, width)) {
        const at::Tensor logits = teacher.logits(fkd_views(images, views), plan.batch_statistics);
        views.logits = logits.to(at::kCPU, plan.precision == "float16" ? at::kHalf : at::kFloat);
        write_fkd_batch(path, views, height, width);
      }
      progress.update(epoch * plan.batches() + batch + 1);
    }
  return true;
}

}  // namespace retort::teachers
