// From a read set to a data set: hash, test and validation parts, preprocessing.
#include "retort/data/dataset.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/file.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/sizes.h"
#include "data/duplicates.h"
#include "data/layouts.h"
#include "data/measure.h"
#include "data/normalisation.h"
#include "data/pack_file.h"
#include "data/split.h"
#include "data/zca.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

PartBytes bytes_of(const Split& part) {
  return {part.images.data_ptr<uint8_t>(), part.images.nbytes(), part.labels.data_ptr<int64_t>(),
          part.size()};
}

/// The vector's memory as a tensor, without a copy.
template <class Value>
at::Tensor adopt(std::vector<Value>&& values, at::IntArrayRef sizes, at::ScalarType type) {
  auto owner = std::make_shared<std::vector<Value>>(std::move(values));
  void* memory = owner->data();
  return at::from_blob(
      memory, sizes, [owner](void*) {}, at::TensorOptions(type));
}

Split adopt_split(RawImages&& part, const RawDataset& raw) {
  const int64_t count = part.size(), classes = std::ssize(raw.class_names);
  if (count == 0)
    return make_split(at::empty({0, raw.channels, raw.height, raw.width}, at::kByte),
                      at::empty({0}, at::kLong), classes);
  const std::vector<int64_t> sizes = {count, raw.channels, raw.height, raw.width};
  return make_split(adopt(std::move(part.pixels), sizes, at::kByte),
                    adopt(std::move(part.labels), {count}, at::kLong), classes);
}

/// Splitting copies every image.
void require_room(const Dataset& set, const DataOptions& options) {
  require_memory("splitting '" + options.data + "'", to_int64(set.train.images.nbytes()),
                 "write it into one mapped file with 'retort pack' and give that as --data, or "
                 "lower --resolution, or keep fewer --classes");
}

void split_test(Dataset& set, const DataOptions& options) {
  if (options.test_fraction <= 0)
    throw ConfigError(ErrorMessage{
        "splitting '" + options.data + "'", "it has no test part and test_fraction is 0",
        "test_fraction between 0 and 1", "set test_fraction, such as 0.2"});
  require_room(set, options);
  std::tie(set.train, set.test) =
      hold_out(set.train, options.test_fraction, options.split_seed, "data.test");
  if (set.test.size() == 0)
    throw DataError(ErrorMessage{"splitting '" + options.data + "'",
                                 "it has no test part and one image a class",
                                 "two images of a class", "add images, or a test folder"});
  set.notes.push_back(test_split_note(options.test_fraction, options.split_seed));
}

ImageRows rows_of(const Split& part) {
  return {part.images.data_ptr<uint8_t>(), part.labels.data_ptr<int64_t>(), part.size()};
}

}  // namespace

ReadOptions DataOptions::reading() const {
  if (resize != "crop" && resolution == 0)
    throw ConfigError(ErrorMessage{
        "reading '" + data + "'", "--resize " + resize + " without a size to bring the images to",
        "--resize together with --resolution", "add --resolution, or leave --resize out"});
  ReadOptions reading;
  reading.resolution = resolution;
  reading.fit = resize == "squash"      ? Fit::kSquash
                : resize == "eval-crop" ? Fit::kEvalCrop
                                        : Fit::kCrop;
  reading.upright = exif == "apply";
  reading.skip_damaged = skip_damaged;
  reading.threads = at::get_num_threads();
  reading.greyscale = greyscale;
  reading.coarse_labels = label_set == "coarse";
  reading.classes = classes;
  return reading;
}

RawDataset read_source(const DataOptions& options, const ProgressStyle& progress) {
  ReadOptions reading = options.reading();
  reading.progress = progress;
  if (options.data != "shapes") return read_dataset(options.data, reading);
  RawDataset raw = make_shapes();
  keep_classes(raw, options.classes);
  finish_reading(raw, reading, options.data);
  return raw;
}

Preprocessing fit_preprocessing(const DataOptions& options,
                                const std::optional<Normalisation>& published,
                                const std::optional<Normalisation>& measured,
                                const std::filesystem::path& cache, const ProgressStyle& progress,
                                Dataset& set) {
  const auto named = named_normalisation(options.normalisation, options.mean_and_deviation,
                                         set.train.images.size(1));
  if (named) return Preprocessing::mean_std(named->mean, named->deviation);
  if (options.normalisation == "none") return {};
  const bool standardised = options.normalisation == "standardised-zca";
  if (options.normalisation == "zca" || standardised) {
    // Everything that decides which images are fitted, and the ridge.
    const std::string settings =
        fmt::format("{} {} {} {} {}{}", set.hash, options.zca_epsilon, options.validation_fraction,
                    options.test_fraction, options.split_seed, standardised ? " standardised" : "");
    return cached_zca(set.train.images, options.zca_epsilon, standardised,
                      hex(hash_bytes(settings.data(), settings.size())), cache, progress,
                      set.notes);
  }
  if (options.normalisation == "auto" && !published && are_imagenet(set.class_ids))
    set.notes.push_back(
        "mean and deviation are computed; published recipes for ImageNet's classes take those of "
        "ImageNet: --normalisation imagenet");
  const Normalisation used = options.normalisation == "auto" && published ? *published
                             : measured                                   ? *measured
                                        : measure(set.train.images);
  return Preprocessing::mean_std(used.mean, used.deviation);
}

void DataOptions::declare(OptionSet& options) {
  options.group("Data");
  options.add("data", data, "a data set's folder or .npz file, or shapes, the built-in set");
  options.add("resolution", resolution,
              "side in pixels that all images are resized to; 0: as they are",
              {.min = 0, .max = 1024});
  options.add("resize", resize,
              "how they are resized: crop: by the shorter side, then the centre is cut out; "
              "eval-crop: the same, but test images with a margin (256, then 224), as ImageNet is "
              "tested; squash: each side by itself",
              {.choices = {"crop", "eval-crop", "squash"}});
  options.add("exif", exif, "turn photographs as their EXIF orientation says, or leave them",
              {.choices = {"apply", "ignore"}});
  options.add("skip_damaged", skip_damaged, "pass over image files that cannot be read");
  options.add("greyscale", greyscale, "one channel instead of three");
  options.add("classes", classes,
              "the classes to keep: names, indices, wnids, or one named list such as imagenette");
  options.add("label_set", label_set, "CIFAR-100: its 100 fine or its 20 coarse classes",
              {.choices = {"fine", "coarse"}});
  options.add("normalisation", normalisation,
              "auto: published mean and deviation, else computed; zca: whitened; standardised-zca: "
              "whitened as in FRePo, after the channels were standardised; cifar10, imagenet: "
              "those of that set; given: --mean-and-deviation",
              {.choices = {"auto", "computed", "none", "zca", "standardised-zca", "cifar10",
                           "imagenet", "given"}});
  options.add("mean_and_deviation", mean_and_deviation,
              "with --normalisation given: the mean of each channel, then the deviation of each");
  options.add(
      "zca_epsilon", zca_epsilon,
      "added to the eigenvalues before whitening; with standardised-zca as a share of their mean",
      {.min = 1e-12, .max = 1e6});
  options.add("validation_fraction", validation_fraction,
              "part of every training class that is kept aside for choosing settings",
              {.min = 0, .max = 0.9});
  options.add("test_fraction", test_fraction,
              "part of every class split off as test where the source has none",
              {.min = 0, .max = 0.9});
  options.add("split_seed", split_seed, "seed of these splits", {.min = 0, .max = kLargestSeed});
}

Dataset open_dataset(const DataOptions& options, const std::filesystem::path& cache,
                     const ProgressStyle& progress) {
  if (is_pack(options.data)) return open_pack(options, cache, progress);
  return prepare_dataset(read_source(options, progress), options, cache, progress);
}

SplitIdentity identity_of(const Dataset& set, const DataOptions& options, bool test_split) {
  SplitIdentity split;
  if (test_split) split.test_fraction = options.test_fraction;
  split.validation_fraction = options.validation_fraction;
  if (split.test_fraction > 0 || split.validation_fraction > 0) split.seed = options.split_seed;
  split.train = part_identity(set.train.images, set.train.labels);
  split.validation = part_identity(set.validation.images, set.validation.labels);
  split.test = part_identity(set.test.images, set.test.labels);
  return split;
}

Dataset prepare_dataset(RawDataset raw, const DataOptions& options,
                        const std::filesystem::path& cache, const ProgressStyle& progress) {
  Split train = adopt_split(std::move(raw.train), raw),
        test = adopt_split(std::move(raw.test), raw);
  return prepare_dataset(raw, std::move(train), std::move(test), options, cache, progress);
}

Dataset prepare_dataset(const RawDataset& about, Split train, Split test,
                        const DataOptions& options, const std::filesystem::path& cache,
                        const ProgressStyle& progress) {
  Dataset set;
  set.name = about.name;
  set.reader = about.reader;
  set.channels = about.channels;
  set.height = about.height;
  set.width = about.width;
  set.class_names = about.class_names;
  set.class_ids = about.class_ids;
  set.notes = about.notes;
  set.mirrorable = about.mirrorable && !are_characters(about.name);
  set.hash = hash_parts(about.channels, about.height, about.width, about.class_names,
                        {bytes_of(train), bytes_of(test)});
  set.train = std::move(train);
  set.test = std::move(test);
  const bool test_split = set.test.size() == 0;
  if (test_split) split_test(set, options);
  if (options.validation_fraction > 0) require_room(set, options);
  if (options.validation_fraction > 0)
    std::tie(set.train, set.validation) =
        hold_out(set.train, options.validation_fraction, options.split_seed, "data.validation");
  for (std::string& note : doubtful_notes(rows_of(set.train), rows_of(set.test),
                                          set.channels * set.height * set.width, set.class_names))
    set.notes.push_back(std::move(note));
  set.split = identity_of(set, options, test_split);
  set.preprocessing = fit_preprocessing(options, about.published, {}, cache, progress, set);
  return set;
}

}  // namespace retort::data
