// One batch of an FKD folder: reading, writing, and its views.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/sizes.h"
#include "io/torch_file.h"
#include "retort/core/error.h"
#include "teachers/fkd.h"

namespace retort::teachers {
namespace {

using Kind = Pickle::Kind;

constexpr const char* kAccepted =
    "a list of crops [N, 4], flips [N], partners, share, box and logits [N, K], as SRe2L saves it";

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& found) {
  throw DataError::damaged(path.string(), found, kAccepted);
}

/// A whole number, Python's or numpy's: scalar(dtype, bytes).
int64_t whole_number(const Pickle& value, const std::filesystem::path& path) {
  if (value.is(Kind::kInt)) return value.integer;
  const std::string_view callee = value.callee();
  if (callee == "numpy.core.multiarray scalar" || callee == "numpy._core.multiarray scalar") {
    const auto& arguments = value.items[1]->items;
    if (arguments.size() == 2 && arguments[1]->is(Kind::kBytes) &&
        (arguments[1]->text.size() == 8 || arguments[1]->text.size() == 4)) {
      const std::string& bytes = arguments[1]->text;
      int64_t wide = 0;
      int32_t narrow = 0;
      if (bytes.size() == 8) std::memcpy(&wide, bytes.data(), 8);
      if (bytes.size() == 4) std::memcpy(&narrow, bytes.data(), 4);
      return bytes.size() == 8 ? wide : narrow;
    }
  }
  refuse(path, "the box of its mixing is not of whole numbers");
}

double share_of(const Pickle& value, const std::filesystem::path& path) {
  double share = value.is(Kind::kFloat) ? value.number : static_cast<double>(value.integer);
  if (value.callee().ends_with("multiarray scalar") && value.items[1]->items.size() == 2 &&
      value.items[1]->items[1]->text.size() == 8)
    std::memcpy(&share, value.items[1]->items[1]->text.data(), 8);
  else if (!value.is(Kind::kFloat) && !value.is(Kind::kInt))
    refuse(path, "the share of its mixing is not a number");
  if (!(share >= 0 && share <= 1)) refuse(path, "the share of its mixing is not from 0 to 1");
  return share;
}

at::Tensor tensor_of(const TorchFile& file, const Pickle& value, int64_t dimensions,
                     const std::filesystem::path& path) {
  if (!TorchFile::is_tensor(value)) refuse(path, "one of its entries is no tensor");
  const at::Tensor tensor = file.tensor(value);
  if (tensor.dim() != dimensions) refuse(path, "a tensor of it has another shape");
  return tensor;
}

/// Shares of the image's sides, as torchvision rounds them back.
std::vector<augment::Crop> crops_of(const at::Tensor& shares, const at::Tensor& flips,
                                    int64_t height, int64_t width,
                                    const std::filesystem::path& path) {
  std::vector<augment::Crop> crops;
  const at::Tensor numbers = shares.to(at::kDouble).contiguous();
  const auto row = numbers.accessor<double, 2>();
  for (int64_t i = 0; i < shares.size(0); ++i) {
    const auto pixels = [&](int64_t column, int64_t side) {
      const double value = row[i][column] * static_cast<double>(side);
      if (!(std::abs(value) < 1e6)) refuse(path, "a crop of it is not within an image");
      return static_cast<int64_t>(std::lround(value));
    };
    augment::Crop crop;
    crop.top = pixels(0, height);
    crop.left = pixels(1, width);
    crop.height = pixels(2, height);
    crop.width = pixels(3, width);
    crop.flip = flips[i].item<bool>();
    if (crop.height < 1 || crop.width < 1) refuse(path, "a crop of it is empty");
    crops.push_back(crop);
  }
  return crops;
}

augment::Mix mix_of(const TorchFile& file, const std::vector<std::shared_ptr<Pickle>>& items,
                    int64_t count, int64_t height, int64_t width,
                    const std::filesystem::path& path) {
  augment::Mix mix;
  if (items[2]->is(Kind::kNone)) return mix;
  const at::Tensor partners = tensor_of(file, *items[2], 1, path).to(at::kLong).contiguous();
  if (partners.numel() != count) refuse(path, "its partners are not as many as its images");
  mix.partners.assign(partners.data_ptr<int64_t>(), partners.data_ptr<int64_t>() + count);
  for (const int64_t partner : mix.partners)
    if (partner < 0 || partner >= count) refuse(path, "a partner of it is not in the batch");
  mix.own = share_of(*items[3], path);
  mix.kind = augment::Mix::Kind::kAdd;
  if (items[4]->is(Kind::kNone)) return mix;
  if (items[4]->items.size() != 4) refuse(path, "the box of its mixing has not four numbers");
  // The published code cuts rows by the first and third number and columns by the others.
  mix.kind = augment::Mix::Kind::kCut;
  const auto at = [&](size_t i, int64_t side) {
    return std::clamp<int64_t>(whole_number(*items[4]->items[i], path), 0, side);
  };
  mix.top = at(0, height);
  mix.left = at(1, width);
  mix.bottom = std::max(mix.top, at(2, height));
  mix.right = std::max(mix.left, at(3, width));
  mix.own = 1 - static_cast<double>((mix.bottom - mix.top) * (mix.right - mix.left)) /
                    static_cast<double>(height * width);
  return mix;
}

}  // namespace

FkdBatch read_fkd_batch(const std::filesystem::path& path, int64_t height, int64_t width) {
  const TorchFile file(path);
  const Pickle& root = file.root();
  if (!(root.is(Kind::kList) || root.is(Kind::kTuple)) || root.items.size() != 6)
    refuse(path, "it is not a list of six entries");
  const at::Tensor shares = tensor_of(file, *root.items[0], 2, path);
  const at::Tensor flips = tensor_of(file, *root.items[1], 1, path);
  FkdBatch batch;
  batch.logits = tensor_of(file, *root.items[5], 2, path);
  const int64_t count = shares.size(0);
  if (count < 1 || shares.size(1) != 4 || flips.size(0) != count || batch.logits.size(0) != count)
    refuse(path, "its crops, flips and logits are not of one number of images");
  batch.crops = crops_of(shares, flips, height, width, path);
  batch.mix = mix_of(file, root.items, count, height, width, path);
  if (!batch.logits.to(at::kFloat).isfinite().all().item<bool>())
    refuse(path, "a logit of it is not finite");
  return batch;
}

void write_fkd_batch(const std::filesystem::path& path, const FkdBatch& batch, int64_t height,
                     int64_t width) {
  at::Tensor shares = at::empty({batch.size(), 4}), flips = at::empty({batch.size()}, at::kBool);
  for (int64_t i = 0; i < batch.size(); ++i) {
    const augment::Crop& crop = batch.crops[to_size(i)];
    const int64_t numbers[] = {crop.top, crop.left, crop.height, crop.width};
    for (int64_t k = 0; k < 4; ++k)
      shares[i][k] =
          static_cast<double>(numbers[k]) / static_cast<double>(k % 2 == 0 ? height : width);
    flips[i] = crop.flip;
  }
  const augment::Mix& mix = batch.mix;
  TorchItem partners, share, box;
  if (mix.kind != augment::Mix::Kind::kNone) {
    partners = at::tensor(mix.partners, at::kLong);
    share = mix.own;
  }
  if (mix.kind == augment::Mix::Kind::kCut)
    box = std::vector<int64_t>{mix.top, mix.left, mix.bottom, mix.right};
  save_torch_list(path, {shares, flips, partners, share, box, batch.logits});
}

at::Tensor fkd_views(const at::Tensor& images, const FkdBatch& batch) {
  const auto size = images.sizes().slice(2);
  const augment::CropMap map(batch.crops, size, size, images.options());
  return augment::mix_images(map.apply(images), batch.mix);
}

}  // namespace retort::teachers
