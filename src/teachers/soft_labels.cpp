// The file of soft labels: plan, header, reading. Rows stand in the order of training.
#include "teachers/soft_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/sizes.h"
#include "io/content_hash.h"
#include "io/metadata.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "teachers/label_file.h"

namespace retort::teachers {
namespace {

constexpr const char* kFormat = "retort.labels";
constexpr int64_t kVersion = 1;

int64_t rows_of_batch(const LabelPlan& plan, int64_t batch) {
  return std::min(plan.views.batch_size, plan.images - batch * plan.views.batch_size);
}

LabelPlan read_plan(const Metadata& metadata, const std::string& path) {
  const MetadataReader reader(metadata, path, "a file of labels",
                              "a file of labels written by retort");
  reader.check_version(kFormat, kVersion);
  LabelPlan plan;
  plan.views.batch_size = reader.number("batch_size");
  plan.views.min_crop_area = reader.number<double>("min_crop_area");
  plan.views.padding = reader.number("padding");
  plan.views.flip = reader.text("flip") == "yes";
  plan.views.mixing = reader.text("mixing");
  plan.views.alpha = reader.number<double>("alpha");
  plan.seed = static_cast<uint64_t>(reader.number("seed"));
  plan.epochs = reader.number("epochs");
  plan.images = reader.number("images");
  plan.classes = reader.number("classes");
  if (metadata.count("mosaic") > 0) plan.views.mosaic = reader.number("mosaic");
  plan.batch_statistics =
      metadata.count("teacher_statistics") > 0 && reader.text("teacher_statistics") == "batch";
  plan.precision = reader.text("precision");
  plan.top_k = reader.number("top_k");
  plan.keep = reader.number<double>("keep");
  plan.images_hash = reader.text("images_hash");
  plan.teacher_hash = reader.text("teacher_hash");
  plan.data_hash = reader.text_or("data_hash", "");
  const auto split = data::parse_split(reader.text_or("split", ""));
  if (!split) reader.refuse("its metadata 'split' is damaged");
  plan.split = *split;
  constexpr int64_t kMost = int64_t{1} << 40;
  if (plan.views.batch_size < 1 || plan.epochs < 1 || plan.images < 1 || plan.classes < 1 ||
      plan.epochs > kMost / plan.images || plan.classes > kMost / plan.images)
    reader.refuse("its metadata hold a count that cannot be");
  try {
    check_plan(plan);
    augment::parse_mix(plan.views.mixing);
  } catch (const ConfigError&) {
    reader.refuse("its metadata hold settings that cannot be");
  }
  return plan;
}

}  // namespace

int64_t LabelPlan::batches() const {
  return (images + views.batch_size - 1) / views.batch_size;
}

int64_t LabelPlan::row_bytes() const {
  constexpr int64_t kHalf = 2, kFloat = 4;
  if (top_k > 0) return kHalf * (2 * top_k + 1);  // values, classes, and the mean of the others
  if (precision == "int8") return kFloat + classes;
  return (precision == "float16" ? kHalf : kFloat) * classes;
}

std::vector<int64_t> LabelPlan::kept() const {
  const int64_t all = epochs * batches();
  const auto count = std::clamp<int64_t>(std::llround(keep * static_cast<double>(all)), 1, all);
  std::vector<int64_t> places(to_size(all));
  for (int64_t i = 0; i < all; ++i) places[to_size(i)] = i;
  if (count == all) return places;
  places = RandomStream(seed, "labels.kept").sample(all, count);
  std::sort(places.begin(), places.end());
  return places;
}

Metadata LabelPlan::metadata() const {
  return {{"format", kFormat},
          {"format_version", std::to_string(kVersion)},
          {"batch_size", std::to_string(views.batch_size)},
          {"min_crop_area", fmt::format("{}", views.min_crop_area)},
          {"padding", std::to_string(views.padding)},
          {"mosaic", std::to_string(views.mosaic)},
          {"flip", views.flip ? "yes" : "no"},
          {"mixing", views.mixing},
          {"alpha", fmt::format("{}", views.alpha)},
          {"seed", std::to_string(seed)},
          {"epochs", std::to_string(epochs)},
          {"images", std::to_string(images)},
          {"classes", std::to_string(classes)},
          {"teacher_statistics", batch_statistics ? "batch" : "running"},
          {"precision", precision},
          {"top_k", std::to_string(top_k)},
          {"keep", fmt::format("{}", keep)},
          {"images_hash", images_hash},
          {"teacher_hash", teacher_hash},
          {"data_hash", data_hash},
          {"split", split.text()}};
}

void check_plan(const LabelPlan& plan) {
  const std::string doing = "preparing the file of labels";
  if (plan.precision != "float32" && plan.precision != "float16" && plan.precision != "int8")
    throw ConfigError::unknown(doing, "precision", plan.precision, {"float32", "float16", "int8"});
  const auto refuse = [&](const std::string& found, const std::string& accepted) {
    throw ConfigError(ErrorMessage{doing, found, accepted, {}});
  };
  constexpr int64_t kMostClasses = int64_t{1} << 15;  // indices are 16 bits
  constexpr int64_t kMostBatches = int64_t{1}
                                   << 26;  // a damaged number must not ask for all memory
  if (plan.epochs > kMostBatches / std::max<int64_t>(plan.batches(), 1))
    refuse(fmt::format("{} epochs of {} batches", plan.epochs, plan.batches()),
           fmt::format("{} batches in all", kMostBatches));
  if (plan.top_k < 0 || plan.top_k >= plan.classes)
    refuse(fmt::format("--top-k is {} of {} classes", plan.top_k, plan.classes),
           "0 for all, or fewer than there are classes");
  if (plan.top_k > 0 && plan.precision != "float16")
    refuse("--top-k goes with --precision " + plan.precision, "--precision float16");
  if (plan.top_k > 0 && plan.classes > kMostClasses)
    refuse(fmt::format("--top-k of {} classes", plan.classes),
           fmt::format("up to {} classes", kMostClasses));
  if (!(plan.keep > 0 && plan.keep <= 1))
    refuse(fmt::format("--keep is {}", plan.keep), "above 0, at most 1");
}

std::vector<int64_t> row_offsets(const LabelPlan& plan, const std::vector<int64_t>& kept) {
  std::vector<int64_t> offsets = {0};
  for (const int64_t place : kept)
    offsets.push_back(offsets.back() + rows_of_batch(plan, place % plan.batches()));
  return offsets;
}

std::string label_header(const LabelPlan& plan) {
  return safetensors_header(label_tensors(plan), plan.metadata());
}

std::map<std::string, RawTensor> label_tensors(const LabelPlan& plan) {
  const std::vector<int64_t> kept = plan.kept();
  const int64_t rows = row_offsets(plan, kept).back();
  RawTensor tensor{DType::kU8, {rows, plan.row_bytes()}, {}};
  if (plan.top_k == 0 && plan.precision != "int8")
    tensor = {plan.precision == "float16" ? DType::kF16 : DType::kF32, {rows, plan.classes}, {}};
  return {{piece_hashes("logits"), {DType::kI64, {std::ssize(kept)}, {}}}, {"logits", tensor}};
}

int64_t label_start(const LabelPlan& plan) {
  return static_cast<int64_t>(label_header(plan).size() + plan.kept().size() * sizeof(int64_t));
}

int64_t label_bytes(const LabelPlan& plan) {
  const int64_t rows = row_offsets(plan, plan.kept()).back();
  return label_start(plan) + rows * plan.row_bytes();
}

std::string images_hash(const at::Tensor& images, const at::Tensor& labels) {
  uint64_t hash = 0;
  for (const at::Tensor& tensor : {images, labels}) {
    const at::Tensor host = tensor.to(at::kCPU).contiguous();
    hash = hash_bytes(host.data_ptr(), host.nbytes(), hash);
  }
  return hex(hash);
}

StoredLabels::StoredLabels(const std::filesystem::path& path) : path_(path.string()), file_(path) {
  const SafetensorsView view = parse_safetensors(file_.bytes(), path.string());
  plan_ = read_plan(view.metadata, path.string());
  kept_ = plan_.kept();
  offsets_ = row_offsets(plan_, kept_);
  const auto found = view.tensors.find("logits"),
             hashed = view.tensors.find(piece_hashes("logits"));
  const auto needed = to_size(offsets_.back() * plan_.row_bytes());
  if (found == view.tensors.end() || found->second.bytes.size() != needed ||
      hashed == view.tensors.end() || hashed->second.dtype != DType::kI64 ||
      hashed->second.shape != std::vector<int64_t>{blocks()})
    throw DataError::damaged(path.string(), "it holds other labels than its metadata say",
                             fmt::format("{} bytes of labels", needed));
  rows_ = found->second.bytes;
  hashes_.resize(kept_.size());
  std::memcpy(hashes_.data(), hashed->second.bytes.data(), hashed->second.bytes.size());
}

void StoredLabels::require_whole() const {
  for (int64_t block = 0; block < blocks(); ++block) logits(block);
}

at::Tensor StoredLabels::logits(int64_t block) const {
  const auto i = to_size(block);
  const std::byte* begin = rows_.data() + offsets_[i] * plan_.row_bytes();
  const int64_t rows = offsets_[i + 1] - offsets_[i];
  if (piece_hash(begin, to_size(rows * plan_.row_bytes())) != hashes_[i])
    throw damaged_content(
        path_, fmt::format("batch {} is not as it was written, its hash is another", block));
  return unpack_labels(plan_, begin, rows);
}

}  // namespace retort::teachers
