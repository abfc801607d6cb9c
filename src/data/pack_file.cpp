// A packed set as a data set. Its header is untrusted.
#include "data/pack_file.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/plain_file.h"
#include "core/sizes.h"
#include "data/layouts.h"
#include "io/content_hash.h"
#include "io/metadata.h"
#include "io/safetensors.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

/// A mapped file and what it says of itself.
class Pack {
 public:
  explicit Pack(const std::filesystem::path& path)
      : path_(path),
        file_(std::make_shared<MappedFile>(path)),
        view_(parse_safetensors(file_->bytes(), path.string())),
        metadata_(view_.metadata, path.string(), "a packed set", "a file written by retort pack") {
    metadata_.check_version(kPackFormat, kPackVersion);
  }

  const MetadataReader& metadata() const { return metadata_; }

  std::string text_or(const std::string& key, const std::string& absent) const {
    const auto found = view_.metadata.find(key);
    return found == view_.metadata.end() ? absent : found->second;
  }

  std::optional<Normalisation> normalisation(const std::string& prefix, int64_t channels) const {
    const Normalisation found{metadata_.list<double>(prefix + "mean"),
                              metadata_.list<double>(prefix + "std")};
    if (found.mean.empty()) return {};
    const bool good = std::ssize(found.mean) == channels &&
                      found.deviation.size() == found.mean.size() &&
                      std::all_of(found.deviation.begin(), found.deviation.end(),
                                  [](double value) { return value > 0; });
    if (!good) metadata_.refuse("its mean and std are not one number a channel, std above 0");
    return found;
  }

  /// The part's images where they are, and a copy of its labels.
  Split part(const std::string& name, int64_t classes) const {
    const RawTensor &images = tensor(name + ".images"), &labels = tensor(name + ".labels");
    if (images.dtype != DType::kU8 || images.shape.size() != 4)
      metadata_.refuse("'" + name + ".images' is not uint8 of shape [N, C, H, W]");
    const int64_t count = images.shape[0];
    if (labels.dtype != DType::kI64 || labels.shape != std::vector<int64_t>{count})
      metadata_.refuse("'" + name + ".labels' is not int64, one for each image");
    at::Tensor own = at::empty({count}, at::kLong);
    if (count > 0) std::memcpy(own.data_ptr(), labels.bytes.data(), labels.bytes.size());
    for (int64_t i = 0; i < count; ++i)
      if (own.data_ptr<int64_t>()[i] < 0 || own.data_ptr<int64_t>()[i] >= classes)
        metadata_.refuse(fmt::format("label {} of '{}' is {}: there are {} classes", i, name,
                                     own.data_ptr<int64_t>()[i], classes));
    require_whole(name, images);
    if (count == 0) return make_split(at::empty(images.shape, at::kByte), own, classes);
    // Nobody writes into the images of a split; a write into the map would end the program.
    void* mapped = const_cast<std::byte*>(images.bytes.data());
    return make_split(
        at::from_blob(
            mapped, images.shape, [keep = file_](void*) {}, at::TensorOptions(at::kByte)),
        own, classes);
  }

 private:
  const RawTensor& tensor(const std::string& name) const {
    const auto found = view_.tensors.find(name);
    if (found == view_.tensors.end()) metadata_.refuse("it has no tensor '" + name + "'");
    return found->second;
  }

  /// Compares all images with their hashes, on all threads. They are read past the map: pages of it
  /// that were touched would count as this process's memory.
  void require_whole(const std::string& name, const RawTensor& images) const {
    const RawTensor& hashed = tensor(piece_hashes(name + ".images"));
    const int64_t count = images.shape[0];
    if (hashed.dtype != DType::kI64 || hashed.shape != std::vector<int64_t>{count})
      metadata_.refuse("it has not one hash for each image of '" + name + "'");
    const size_t size = count == 0 ? 0 : images.bytes.size() / to_size(count);
    const auto start = to_size(images.bytes.data() - file_->bytes().data());
    const PlainFile file(path_);
    std::atomic<int64_t> damaged{count};
    at::parallel_for(0, count, 1 + (1 << 22) / to_int64(size + 1), [&](int64_t begin, int64_t end) {
      std::vector<char> planes(size);
      for (int64_t i = begin; i < end && i < damaged; ++i) {
        file.read(planes.data(), size, start + to_size(i) * size);
        int64_t hash = 0;
        std::memcpy(&hash, hashed.bytes.data() + i * int64_t{8}, sizeof hash);
        if (piece_hash(planes.data(), size) == hash) continue;
        int64_t first = damaged;
        while (i < first && !damaged.compare_exchange_weak(first, i)) {
        }
      }
    });
    if (damaged < count)
      throw damaged_content(path_.string(),
                            fmt::format("image {} of '{}' is not as it was written, its hash is "
                                        "another",
                                        damaged.load(), name));
  }

  std::filesystem::path path_;
  std::shared_ptr<MappedFile> file_;
  SafetensorsView view_;
  MetadataReader metadata_;
};

void refuse_changes(const DataOptions& options, const Dataset& set, const Pack& pack) {
  const DataOptions plain;
  std::string changed;
  // Defaults may mean that nothing was asked for.
  if (options.resize != plain.resize && options.resize != pack.text_or("resize", plain.resize))
    changed = "--resize " + options.resize;
  if (options.exif != plain.exif && options.exif != pack.text_or("exif", plain.exif))
    changed = "--exif " + options.exif;
  if (options.resolution != 0 && (options.resolution != set.height || set.height != set.width))
    changed = "--resolution";
  if (options.greyscale && set.channels != 1) changed = "--greyscale";
  if (!options.classes.empty()) changed = "--classes";
  if (options.label_set != "fine") changed = "--label-set";
  if (options.validation_fraction != 0) changed = "--validation-fraction";
  if (!changed.empty())
    throw ConfigError(ErrorMessage{"reading the packed set '" + options.data + "'",
                                   changed + " would change its content", "a packed set as it is",
                                   "give " + changed + " to retort pack"});
}

}  // namespace

bool is_pack(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  const PlainFile file(path);
  uint64_t length = 0;
  constexpr uint64_t kMost = uint64_t{100} << 20;
  if (file.size() < sizeof length) return false;
  file.read(&length, sizeof length, 0);
  if (length > kMost || length > file.size() - sizeof length) return false;
  std::string text(length, '\0');
  file.read(text.data(), text.size(), sizeof length);
  const auto header = nlohmann::json::parse(text, nullptr, false);
  const auto metadata = header.is_object() ? header.find("__metadata__") : header.end();
  return metadata != header.end() && metadata->is_object() && metadata->contains("format") &&
         (*metadata)["format"] == kPackFormat;
}

Dataset open_pack(const DataOptions& options, const std::filesystem::path& cache,
                  const ProgressStyle& progress) {
  const Pack pack(options.data);
  const MetadataReader& metadata = pack.metadata();
  Dataset set;
  set.name = metadata.text("data_name");
  set.reader = metadata.text("reader") + ", packed";
  set.class_names = metadata.list<std::string>("class_names");
  if (metadata.text_or("class_ids", "[]") != "[]")
    set.class_ids = metadata.list<std::string>("class_ids");
  if (!set.class_ids.empty() && set.class_ids.size() != set.class_names.size())
    metadata.refuse("it has another number of class ids than of classes");
  set.notes = metadata.list<std::string>("notes");
  set.mirrorable = metadata.text_or("mirrorable", "yes") == "yes" && !are_characters(set.name);
  set.hash = metadata.text("hash");
  if (set.class_names.size() < 2) metadata.refuse("it has fewer than two classes");
  set.train = pack.part("train", set.classes());
  set.validation = pack.part("validation", set.classes());
  set.test = pack.part("test", set.classes());
  set.channels = set.train.images.size(1);
  set.height = set.train.images.size(2);
  set.width = set.train.images.size(3);
  for (const Split* part : {&set.validation, &set.test})
    if (part->images.sizes().slice(1) != set.train.images.sizes().slice(1))
      metadata.refuse("its parts have images of different shapes");
  if (set.train.size() == 0 || set.train.images[0].numel() == 0)
    metadata.refuse("it has no training images");
  refuse_changes(options, set, pack);
  set.split = identity_of(set, {}, /*test_split=*/false);  // its parts are its own
  const auto published = pack.normalisation("published_", set.channels),
             measured = pack.normalisation("", set.channels);
  set.preprocessing = fit_preprocessing(options, published, measured, cache, progress, set);
  return set;
}

}  // namespace retort::data
