#include "data/pack_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <tuple>

#include "data/image_folder.h"
#include "data/layouts.h"
#include "data/measure.h"
#include "data/pack_file.h"
#include "data/split.h"
#include "data/tiny_imagenet.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/data/raw.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;

class MemorySource : public PackSource {
 public:
  explicit MemorySource(const DataOptions& options) {
    RawDataset raw = read_source(options);
    published = raw.published;
    DataOptions plain = options;
    plain.normalisation = "none";
    data_ = prepare_dataset(std::move(raw), plain);
    name = data_.name;
    reader = data_.reader;
    class_names = data_.class_names;
    notes = data_.notes;
    channels = data_.channels;
    height = data_.height;
    width = data_.width;
    key = data_.hash;
    for (const auto& [title, split] : splits()) {
      PackPart part{title, {}, {}};
      for (int64_t i = 0; i < split->size(); ++i) {
        part.labels.push_back(split->labels.data_ptr<int64_t>()[i]);
        part.rows.push_back(i);
      }
      parts.push_back(std::move(part));
    }
  }

  void image(const PackPart& part, int64_t row, uint8_t* planes) const override {
    for (const auto& [title, split] : splits())
      if (title == part.name)
        std::memcpy(planes, split->images.data_ptr<uint8_t>() + row * image_bytes(),
                    static_cast<size_t>(image_bytes()));
  }

 private:
  std::vector<std::pair<std::string, const Split*>> splits() const {
    return {{"test", &data_.test}, {"train", &data_.train}, {"validation", &data_.validation}};
  }
  Dataset data_;
};

/// Files that are decoded when they are wanted.
class FileSource : public PackSource {
 public:
  FileSource(Listing listing, const DataOptions& options, ReadOptions reading)
      : listing_(std::move(listing)), reading_(std::move(reading)) {
    RawDataset& raw = listing_.raw;
    name = raw.name;
    reader = raw.reader;
    class_names = raw.class_names;
    notes = raw.notes;
    const DecodedImage first = decode_file(listing_.train.at(0), reading_);
    height = first.height;
    width = first.width;
    channels = reading_.greyscale ? 1 : 3;
    if (raw.published && static_cast<int64_t>(raw.published->mean.size()) == channels)
      published = raw.published;
    deal(options);
    std::string text;
    for (const auto* files : {&listing_.train, &listing_.test})
      for (const LabelledFile& file : *files)
        text += fmt::format("{} {} {}\n", file.path.string(), file.label, fs::file_size(file.path));
    key = hex(hash_bytes(text.data(), text.size()));
  }

  void image(const PackPart& part, int64_t row, uint8_t* planes) const override {
    const LabelledFile& file = file_of(part, row);
    const DecodedImage decoded = decode_file(file, reading_);
    if (decoded.width != width || decoded.height != height)
      throw DataError(
          {"reading the image files",
           fmt::format("'{}' is {} x {} and '{}' is {} x {}", listing_.train[0].path.string(),
                       width, height, file.path.string(), decoded.width, decoded.height),
           "images of one size", "pass --resolution N to resize and crop all to N x N"});
    const DecodedImage plain = to_channels(decoded, channels);
    const int64_t pixels = height * width;
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c)
        planes[c * pixels + p] = plain.pixels[p * channels + c];
  }

 private:
  /// The same parts as of a set in memory.
  void deal(const DataOptions& options) {
    test_is_apart_ = !listing_.test.empty();
    std::vector<int64_t> train = all_rows(listing_.train), test = all_rows(listing_.test), kept;
    if (!test_is_apart_) {
      notes.push_back(fmt::format(
          "no test part in the source: {:g} % of every class split off as test (split_seed {})",
          100 * options.test_fraction, options.split_seed));
      std::tie(train, test) =
          held_rows(members(train), options.test_fraction, options.split_seed, "data.test");
    }
    if (options.validation_fraction > 0) {
      const auto [rest, taken] = held_rows(members(train), options.validation_fraction,
                                           options.split_seed, "data.validation");
      // Rows of members() are places in `train`.
      std::vector<int64_t> rest_rows;
      for (const int64_t i : rest) rest_rows.push_back(train[static_cast<size_t>(i)]);
      for (const int64_t i : taken) kept.push_back(train[static_cast<size_t>(i)]);
      train = rest_rows;
    }
    for (auto& [title, rows] : {std::pair{"test", test}, {"train", train}, {"validation", kept}}) {
      PackPart part{title, {}, rows};
      for (const int64_t row : rows) part.labels.push_back(file_of(part, row).label);
      parts.push_back(std::move(part));
    }
  }

  static std::vector<int64_t> all_rows(const std::vector<LabelledFile>& files) {
    std::vector<int64_t> rows(files.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return rows;
  }

  Members members(const std::vector<int64_t>& rows) const {
    Members by_class(class_names.size());
    for (size_t i = 0; i < rows.size(); ++i)
      by_class[static_cast<size_t>(listing_.train[static_cast<size_t>(rows[i])].label)].push_back(
          static_cast<int64_t>(i));
    return by_class;
  }

  const LabelledFile& file_of(const PackPart& part, int64_t row) const {
    const bool apart = part.name == "test" && test_is_apart_;
    return (apart ? listing_.test : listing_.train)[static_cast<size_t>(row)];
  }

  Listing listing_;
  ReadOptions reading_;
  bool test_is_apart_ = false;
};

}  // namespace

std::unique_ptr<PackSource> open_pack_source(const DataOptions& options) {
  ReadOptions reading;
  reading.resolution = options.resolution;
  reading.greyscale = options.greyscale;
  reading.classes = options.classes;
  const fs::path path = options.data;
  if (options.data != "shapes" && options.label_set == "fine" && fs::is_directory(path))
    for (const Reader& one : readers()) {
      if (!one.recognises(path)) continue;
      if (one.name == "tiny-imagenet")
        return std::make_unique<FileSource>(list_tiny_imagenet(path, reading), options, reading);
      if (one.name == "image-folder")
        return std::make_unique<FileSource>(list_image_folder(path, reading), options, reading);
      break;
    }
  return std::make_unique<MemorySource>(options);
}

}  // namespace retort::data
