#include "retort/train/views.h"

#include <fmt/format.h>

#include <algorithm>

#include "retort/augment/window.h"
#include "retort/core/random.h"

namespace retort::train {
namespace {

constexpr double kAspect = 4.0 / 3;  // of RandomResizedCrop

augment::Window window_of(const ViewOptions& options, int64_t height, int64_t width,
                          Stream& stream) {
  augment::Window window = augment::whole_window(height, width);
  if (options.margin > 0)
    window = augment::draw_shift(height, width, options.margin, stream);
  else if (options.crop_low < 1)
    window = augment::draw_window(height, width, options.crop_low, 1, kAspect, stream);
  window.flip = options.flip && stream.uniform() < 0.5;
  return window;
}

}  // namespace

std::string ViewOptions::text() const {
  return fmt::format("batches of {}, crops from {}, shifts {}, flip {}, {} {}", batch_size,
                     crop_low, margin, flip ? "yes" : "no", mixing, alpha);
}

Views::Views(const data::BatchSource& source, const ViewOptions& options, uint64_t seed)
    : source_(source), options_(options), mixing_(augment::parse_mix(options.mixing)), seed_(seed) {
  TORCH_CHECK(source.size() > 0 && options.batch_size > 0, "views need images and batches");
}

int64_t Views::batches() const {
  return (source_.size() + options_.batch_size - 1) / options_.batch_size;
}

int64_t Views::rows_of(int64_t batch) const {
  return std::min(options_.batch_size, source_.size() - batch * options_.batch_size);
}

Views::Batch Views::get(int64_t epoch, int64_t batch) const {
  const auto e = static_cast<uint64_t>(epoch);
  const std::vector<int64_t> order = Stream(seed_, "views.order", e).permutation(source_.size());
  const auto begin = order.begin() + batch * options_.batch_size;
  const std::vector<int64_t> rows(begin, begin + rows_of(batch));
  const data::Batch examples = source_.get(rows);
  const int64_t height = examples.images.size(2), width = examples.images.size(3);
  std::vector<augment::Window> windows;
  for (const int64_t row : rows) {
    Stream stream(seed_, "views.window", e, static_cast<uint64_t>(row));
    windows.push_back(window_of(options_, height, width, stream));
  }
  const augment::WindowMap map(windows, {height, width}, {height, width},
                               examples.images.options());
  Stream stream(seed_, "views.mix", e, static_cast<uint64_t>(batch));
  const augment::Mix mix =
      augment::draw_mix(mixing_, options_.alpha, rows_of(batch), height, width, stream);
  return {augment::mix_images(map.apply(examples.images), mix), examples.targets, mix};
}

}  // namespace retort::train
