// Downsampled ImageNet as .npz batches: train_data_batch_1.npz to train_data_batch_10.npz and
// val_data.npz, each with data uint8 [N, 3 * side * side] (three planes) and labels 1..1000 in the
// numbering of ImageNet's development kit. Classes come out in the usual order. No torch here.
#include <cmath>

#include "core/sizes.h"
#include "data/imagenet_classes.h"
#include "data/layouts.h"
#include "data/npz.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr int kBatches = 10;

std::string batch_name(int i) {
  return "train_data_batch_" + std::to_string(i) + ".npz";
}

std::optional<fs::path> find_imagenet(const fs::path& folder) {
  std::error_code ignored;
  for (int i = 1; i <= kBatches; ++i)
    if (fs::is_regular_file(folder / batch_name(i), ignored)) return folder;
  return folder_holding(folder, {""}, {"val_data.npz"});
}

/// New label of each label in the file, less one.
using Relabelling = std::vector<int64_t>;

void read_part(const fs::path& file, const Relabelling& new_label, RawDataset& raw,
               RawImages& out) {
  require_file(file, raw.reader);
  const std::string path = file.string();
  const auto members = npz_members(file, {"data", "labels"});
  if (!members.count("data") || !members.count("labels"))
    throw DataError::damaged(path, "the array 'data' or 'labels' is missing");
  const NpyArray data = parse_npy(members.at("data"), path + ":data");
  const NpyArray label_array = parse_npy(members.at("labels"), path + ":labels");
  const std::vector<int64_t> labels = integers_of(label_array, "labels", path);
  if (data.dtype != DType::kU8 || data.shape.size() != 2 || data.shape[0] != std::ssize(labels))
    throw DataError::damaged(path, "'data' does not fit 'labels'",
                             "uint8 [N, 3 * side * side] and labels [N]");
  const int64_t bytes = data.shape[1];
  const int64_t side = std::lround(std::sqrt(bytes / 3.0));
  if (raw.height == 0) raw.height = raw.width = side;
  if (side < 1 || side * side * 3 != bytes || side != raw.height)
    throw DataError::damaged(path, "rows of " + std::to_string(bytes) + " bytes",
                             "rows of three square planes, the same in all batches");
  auto row = data.data.begin();
  for (size_t i = 0; i < labels.size(); ++i, row += bytes) {
    check_label(labels[i], 1, 1000, path, to_int64(i));
    const int64_t label = new_label[to_size(labels[i] - 1)];
    if (label < 0) continue;
    out.labels.push_back(label);
    out.pixels.insert(out.pixels.end(), row, row + bytes);
  }
}

RawDataset read_imagenet(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_imagenet(path);
  RawDataset raw;
  raw.name = "imagenet";
  raw.reader = "downsampled ImageNet npz batches";
  raw.channels = 3;
  raw.published = imagenet_normalisation();
  std::vector<std::string> names;
  for (int64_t i = 0; i < 1000; ++i) names.push_back(imagenet_name(i));
  const ClassChoice choice = choose_classes(names, imagenet_wnids(), options.classes);
  raw.class_names = chosen(names, choice);
  raw.class_ids = chosen(imagenet_wnids(), choice);
  Relabelling new_label;
  for (const int64_t index : imagenet_indices_of_development_kit())
    new_label.push_back(choice.new_label[to_size(index)]);
  for (int i = 1; i <= kBatches; ++i) read_part(folder / batch_name(i), new_label, raw, raw.train);
  read_part(folder / "val_data.npz", new_label, raw, raw.test);
  return raw;
}

}  // namespace

Reader imagenet_npz_reader() {
  return {
      "imagenet-npz",
      "downsampled ImageNet: train_data_batch_1.npz to train_data_batch_10.npz and val_data.npz",
      [](const fs::path& folder) { return find_imagenet(folder).has_value(); }, read_imagenet};
}

}  // namespace retort::data
