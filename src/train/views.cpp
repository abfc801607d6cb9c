#include "retort/train/views.h"

#include <fmt/format.h>

#include <algorithm>

#include "retort/augment/crop.h"
#include "retort/core/random.h"

namespace retort::train {
namespace {

constexpr double kAspect = 4.0 / 3;  // of RandomResizedCrop

augment::Crop crop_of(const ViewOptions& options, int64_t height, int64_t width,
                      RandomStream& stream) {
  augment::Crop crop = augment::whole_image(height, width);
  if (options.padding > 0)
    crop = augment::draw_shift(height, width, options.padding, stream);
  else if (options.min_crop_area < 1)
    crop = augment::draw_crop(height, width, options.min_crop_area, 1, kAspect, stream);
  crop.flip = options.flip && stream.uniform() < 0.5;
  return crop;
}

/// The pixels of a side, its strips in a random order; the last strip takes what is left over.
at::Tensor shuffled_strips(int64_t side, int64_t count, RandomStream& stream) {
  std::vector<int64_t> pixels;
  for (const int64_t strip : stream.permutation(count)) {
    const int64_t begin = strip * (side / count),
                  end = strip + 1 < count ? begin + side / count : side;
    for (int64_t p = begin; p < end; ++p) pixels.push_back(p);
  }
  return at::tensor(pixels, at::kLong);
}

}  // namespace

std::string ViewOptions::text() const {
  std::string text =
      fmt::format("batches of {}, crops from {}, shifts {}, flip {}, {} {}", batch_size,
                  min_crop_area, padding, flip ? "yes" : "no", mixing, alpha);
  if (mosaic > 1) text += fmt::format(", {}x{} patches shuffled", mosaic, mosaic);
  return text;
}

Views::Views(const data::BatchSource& source, const ViewOptions& options, uint64_t seed,
             data::Preprocessing preprocessing)
    : source_(source),
      options_(options),
      mixing_(augment::parse_mix(options.mixing)),
      seed_(seed),
      preprocessing_(std::move(preprocessing)) {
  TORCH_CHECK(source.size() > 0 && options.batch_size > 0 && options.mosaic > 0,
              "views need images and batches");
}

int64_t Views::batches() const {
  return (source_.size() + options_.batch_size - 1) / options_.batch_size;
}

int64_t Views::rows_of(int64_t batch) const {
  return std::min(options_.batch_size, source_.size() - batch * options_.batch_size);
}

Views::Batch Views::get(int64_t epoch, int64_t batch) const {
  const auto e = static_cast<uint64_t>(epoch);
  const std::vector<int64_t> order =
      RandomStream(seed_, "views.order", e).permutation(source_.size());
  const auto begin = order.begin() + batch * options_.batch_size;
  const std::vector<int64_t> rows(begin, begin + rows_of(batch));
  data::Batch examples = source_.get(rows);
  const int64_t height = examples.images.size(2), width = examples.images.size(3);
  std::vector<augment::Crop> crops;
  for (const int64_t row : rows) {
    RandomStream stream(seed_, "views.window", e, static_cast<uint64_t>(row));
    crops.push_back(crop_of(options_, height, width, stream));
  }
  if (options_.mosaic > 1) examples.images = shuffled(examples.images, rows, e);
  RandomStream stream(seed_, "views.mix", e, static_cast<uint64_t>(batch));
  const augment::Mix mix =
      augment::draw_mix(mixing_, options_.alpha, rows_of(batch), height, width, stream);
  return {augment::mix_images(shown(examples.images, crops), mix), examples.targets, mix};
}

at::Tensor Views::shuffled(const at::Tensor& images, const std::vector<int64_t>& rows,
                           uint64_t epoch) const {
  at::Tensor all = at::empty_like(images);
  for (size_t i = 0; i < rows.size(); ++i) {
    RandomStream stream(seed_, "views.patches", epoch, static_cast<uint64_t>(rows[i]));
    const auto along = [&](int64_t side) {
      return shuffled_strips(side, options_.mosaic, stream).to(images.device());
    };
    const at::Tensor columns = along(images.size(3)), lines = along(images.size(2));
    const auto image = static_cast<int64_t>(i);
    all[image].copy_(images[image].index_select(2, columns).index_select(1, lines));
  }
  return all;
}

at::Tensor Views::shown(const at::Tensor& images, const std::vector<augment::Crop>& crops) const {
  const auto size = images.sizes().slice(2);
  const augment::CropMap map(crops, size, size, images.options());
  if (options_.padding == 0) return map.apply(images);
  const at::Tensor nothing =
      at::zeros({1, images.size(1), size[0], size[1]}, at::TensorOptions(at::kByte));
  const at::Tensor black = preprocessing_.apply(nothing, images.device()).to(images.scalar_type());
  return map.apply(images - black) + black;
}

}  // namespace retort::train
