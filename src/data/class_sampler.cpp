#include "retort/data/class_sampler.h"

#include <utility>

#include "core/sizes.h"

namespace retort::data {
namespace {

/// Sets up to this size are copied to a GPU whole.
constexpr int64_t kResidentBytes = int64_t{2} << 30;

}  // namespace

std::vector<int64_t> draw_rows(const Split& split, RandomStream& stream, int64_t c, int64_t count) {
  const std::vector<int64_t>& members = split.rows_by_class.at(to_size(c));
  std::vector<int64_t> rows = stream.sample(std::ssize(members), count);
  for (int64_t& row : rows) row = members[to_size(row)];
  return rows;
}

ClassSampler::ClassSampler(const Split& split, const Preprocessing& preprocessing,
                           at::Device device)
    : split_(split),
      images_(split.images),
      labels_(split.labels),
      device_(device),
      preprocessing_(preprocessing.on(device)) {
  if (device.is_cpu() || images_.numel() > kResidentBytes) return;
  images_ = images_.to(device);
  labels_ = labels_.to(device);
}

std::vector<int64_t> ClassSampler::rows(RandomStream stream, int64_t c, int64_t count) const {
  return draw_rows(split_, stream, c, count);
}

at::Tensor ClassSampler::draw(RandomStream stream, int64_t c, int64_t count) const {
  return images(draw_rows(split_, stream, c, count));
}

at::Tensor ClassSampler::index(at::ArrayRef<int64_t> rows) const {
  return at::tensor(rows, at::kLong).to(images_.device());
}

at::Tensor ClassSampler::images(at::ArrayRef<int64_t> rows) const {
  return preprocessing_.gather(images_, index(rows), device_);
}

Batch ClassSampler::batch(at::ArrayRef<int64_t> rows) const {
  const at::Tensor places = index(rows);
  return {preprocessing_.gather(images_, places, device_),
          labels_.index_select(0, places).to(device_)};
}

}  // namespace retort::data
