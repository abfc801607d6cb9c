#include "methods/decoupled/patches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "core/sizes.h"
#include "retort/augment/crop.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/class_sampler.h"
#include "retort/losses/losses.h"

namespace retort::methods {
namespace {

constexpr const char* kDoing = "preparing mosaics of real patches";
constexpr double kLow = 0.08;  // smallest area of a patch, as in RandomResizedCrop

/// The teacher's loss of patches in the middle of blank images.
at::Tensor losses_of(const teachers::LoadedTeacher& teacher, const at::Tensor& patches,
                     int64_t label) {
  const nets::Shape& shape = teacher.network->shape();
  const at::Tensor labels = at::full({patches.size(0)}, label, patches.options().dtype(at::kLong));
  return losses::row_losses(teacher.logits(padded(patches, shape.height, shape.width)), {labels});
}

/// Crops of some real images of a class, those of one image beside each other.
ScoredPatches draw_crops(const Context& context, const data::ClassSampler& real,
                         const teachers::LoadedTeacher& teacher, const PatchOptions& options,
                         size_t label, int64_t needed) {
  const RandomStream draw(context.seed, "patches.candidates", label);
  const std::vector<int64_t> rows =
      real.rows(draw, static_cast<int64_t>(label), std::max(options.candidates, needed));
  const at::Tensor images = real.images(rows);
  const int64_t height = images.size(2), width = images.size(3);
  std::vector<at::Tensor> patches, losses;
  for (int64_t crop = 0; crop < options.crops; ++crop) {
    std::vector<augment::Crop> crops;
    for (const int64_t row : rows) {
      RandomStream stream(context.seed, "patches.crop", static_cast<uint64_t>(row),
                          static_cast<uint64_t>(crop));
      crops.push_back(augment::draw_crop(height, width, kLow, 1, 1, stream));
    }
    const augment::CropMap map(crops, {height, width},
                               {height / options.mosaic, width / options.mosaic}, images.options(),
                               /*smooth=*/true);
    patches.push_back(map.apply(images));
    losses.push_back(losses_of(teacher, patches.back(), static_cast<int64_t>(label)));
  }
  return {at::stack(patches), at::stack(losses)};
}

}  // namespace

at::Tensor padded(const at::Tensor& patches, int64_t height, int64_t width) {
  const int64_t top = (height - patches.size(2)) / 2, left = (width - patches.size(3)) / 2;
  at::Tensor whole =
      at::zeros({patches.size(0), patches.size(1), height, width}, patches.options());
  whole.slice(2, top, top + patches.size(2)).slice(3, left, left + patches.size(3)).copy_(patches);
  return whole;
}

at::Tensor choose_patches(const ScoredPatches& scored, int64_t count, const std::string& choice) {
  const at::Tensor least = scored.losses.amin(0).to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor crop = scored.losses.argmin(0).to(at::kCPU);
  std::vector<int64_t> order(to_size(least.numel()));
  std::iota(order.begin(), order.end(), 0);
  const float* loss = least.data_ptr<float>();
  std::stable_sort(order.begin(), order.end(),
                   [loss](int64_t a, int64_t b) { return loss[a] < loss[b]; });
  const int64_t spare = std::ssize(order) - count;
  const int64_t first = choice == "medium" ? spare / 2 : 0;
  std::vector<at::Tensor> patches;
  for (const int64_t image : std::span(order).subspan(to_size(first), to_size(count)))
    patches.push_back(scored.patches[crop[image].item<int64_t>()][image]);
  return at::stack(patches);
}

at::Tensor tiled(const at::Tensor& patches, int64_t f) {
  const int64_t channels = patches.size(1), h = patches.size(2), w = patches.size(3);
  return patches.view({f, f, -1, channels, h, w})
      .permute({2, 3, 0, 4, 1, 5})
      .reshape({-1, channels, f * h, f * w});
}

void PatchOptions::declare(OptionSet& set) {
  set.add("candidates", candidates, "number of real images of a class that patches are taken from",
          {.min = 1});
  set.add("crops", crops, "patches of each image that are tried", {.min = 1, .max = 1000});
  set.add("mosaic", mosaic, "an image is a mosaic of this many by this many patches",
          {.min = 1, .max = 64});
  set.add("patch_choice", choice,
          "the patches that the teacher knows best, or those of medium difficulty",
          {.choices = {"easiest", "medium"}});
}

void check_patches(const Context& context, const PatchOptions& options) {
  const synthetic::SetLayout& layout = context.layout;
  if (layout.height % options.mosaic != 0 || layout.width % options.mosaic != 0)
    throw ConfigError(ErrorMessage{kDoing,
                                   fmt::format("--mosaic {} does not divide images of {}x{}",
                                               options.mosaic, layout.height, layout.width),
                                   "a divisor of both sides",
                                   {}});
  for (size_t c = 0; c < layout.counts.size(); ++c) {
    const int64_t needed = layout.counts[c] * options.mosaic * options.mosaic;
    const auto there = std::ssize(context.data.train.rows_by_class[c]);
    if (there < needed)
      throw ConfigError(ErrorMessage{
          kDoing,
          fmt::format("class '{}' has {} training images", context.data.class_names[c], there),
          fmt::format("at least {}, one for each patch", needed),
          "lower --images-per-class or --mosaic"});
  }
}

at::Tensor compose_patches(const Context& context, const teachers::LoadedTeacher& teacher,
                           const PatchOptions& options) {
  check_patches(context, options);
  const data::ClassSampler real(context.data.train, context.data.preprocessing, context.device);
  const synthetic::SetLayout& layout = context.layout;
  const std::vector<int64_t> offsets = layout.offsets();
  at::Tensor images = at::empty({layout.size(), layout.channels, layout.height, layout.width});
  std::vector<int64_t> rows;  // of this process's classes
  const std::vector<int64_t> classes = Share().within(*context.group).items(layout.classes());
  Progress progress(context.progress, "rded, classes", std::ssize(classes));
  for (const int64_t label : classes) {
    const auto c = to_size(label);
    const int64_t needed = layout.counts[c] * options.mosaic * options.mosaic;
    const ScoredPatches scored = draw_crops(context, real, teacher, options, c, needed);
    images.slice(0, offsets[c], offsets[c + 1])
        .copy_(tiled(choose_patches(scored, needed, options.choice), options.mosaic));
    for (int64_t row = offsets[c]; row < offsets[c + 1]; ++row) rows.push_back(row);
    progress.update(label - classes.front() + 1);
  }
  context.group->gather_rows(images, rows);
  return images;
}

}  // namespace retort::methods
