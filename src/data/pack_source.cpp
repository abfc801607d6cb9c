#include "data/pack_source.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>

#include "core/file.h"
#include "core/sizes.h"
#include "data/decode.h"
#include "data/layouts.h"
#include "data/measure.h"
#include "data/pack_file.h"
#include "data/split.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;

class MemorySource : public PackSource {
 public:
  MemorySource(const DataOptions& options, const ProgressStyle& style) {
    RawDataset raw = read_source(options, style);
    published = raw.published;
    mirrorable = raw.mirrorable;
    DataOptions plain = options;
    plain.normalisation = "none";
    plain.mean_and_deviation.clear();
    data_ = prepare_dataset(std::move(raw), plain);
    name = data_.name;
    reader = data_.reader;
    class_names = data_.class_names;
    class_ids = data_.class_ids;
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

  void image(const PackPart& part, int64_t row, uint8_t* planes) override {
    for (const auto& [title, split] : splits())
      if (title == part.name)
        std::memcpy(planes, split->images.data_ptr<uint8_t>() + row * image_bytes(),
                    to_size(image_bytes()));
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
  FileSource(Listing listing, const DataOptions& options, const StopFlag* stop,
             const ProgressStyle& style)
      : reading_(options.reading()),
        files_(std::move(listing.train), std::move(listing.test), reading_) {
    const RawDataset& raw = listing.raw;
    name = raw.name;
    reader = raw.reader;
    class_names = raw.class_names;
    class_ids = raw.class_ids;
    notes = raw.notes;
    mirrorable = raw.mirrorable;
    files_.measure(stop);
    key = key_of(options);
    state = state_now();
    // Which files there are has to be known before anything is written.
    if (reading_.skip_damaged) find_damaged(style, stop);
    if (stop && stop->requested()) return;
    look_at_all_if_damaged();
    files_.findings = {};
    notes.insert(notes.end(), files_.notes.begin(), files_.notes.end());
    height = files_.height;
    width = files_.width;
    channels = reading_.greyscale ? 1 : 3;
    if (raw.published && std::ssize(raw.published->mean) == channels) published = raw.published;
    deal(options);
  }

  void image(const PackPart& part, int64_t row, uint8_t* planes) override {
    const bool apart = part.name == "test" && test_is_apart_;
    const DecodedImage plain =
        to_channels(files_.decode(apart ? row + std::ssize(files_.train) : row), channels);
    to_planes(plain.pixels.data(), height * width, channels, planes);
  }

  void look_at_all() override {
    files_.each([](int64_t, const DecodedImage&) {});
    files_.settle_damaged();
  }

  ImageFindings* findings() override { return &files_.findings; }
  std::vector<std::string> late_notes() const override {
    return files_.findings.notes(reading_.upright);
  }

 private:
  void find_damaged(const ProgressStyle& style, const StopFlag* stop) {
    Progress progress(style, "looking for images that cannot be read", files_.size());
    std::mutex mutex;  // images come from several threads
    int64_t seen = 0;
    files_.each(
        [&](int64_t, const DecodedImage&) {
          const std::lock_guard<std::mutex> lock(mutex);
          progress.update(++seen);
        },
        stop);
  }

  void look_at_all_if_damaged() {
    if (!reading_.skip_damaged && !files_.damaged().empty()) look_at_all();
    files_.settle_damaged();
  }

  std::string key_of(const DataOptions& options) const {
    std::string text = fmt::format("{} {} {} {} {}\n", options.resolution, options.resize,
                                   options.exif, options.greyscale, options.skip_damaged);
    for (int64_t i = 0; i < files_.size(); ++i)
      text += fmt::format("{} {}\n", files_.file(i).path.string(), files_.file(i).label);
    return hex(hash_bytes(text.data(), text.size()));
  }

  /// Of sizes and times; a file cannot be written anew without another time of change.
  std::string state_now() const {
    uint64_t hash = 0;
    for (int64_t i = 0; i < files_.size(); ++i) {
      struct stat about {};
      ::stat(files_.file(i).path.c_str(), &about);
      const std::array<int64_t, 5> facts{about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec,
                                         about.st_ctim.tv_sec, about.st_ctim.tv_nsec};
      hash = hash_bytes(facts.data(), sizeof facts, hash);
    }
    return hex(hash);
  }

  /// The same parts as of a set in memory.
  void deal(const DataOptions& options) {
    test_is_apart_ = !files_.test.empty();
    std::vector<int64_t> train = all_rows(files_.train), test = all_rows(files_.test), kept;
    if (!test_is_apart_) {
      notes.push_back(test_split_note(options.test_fraction, options.split_seed));
      std::tie(train, test) =
          held_rows(members(train), options.test_fraction, options.split_seed, "data.test");
    }
    if (options.validation_fraction > 0) {
      const auto [rest, taken] = held_rows(members(train), options.validation_fraction,
                                           options.split_seed, "data.validation");
      // Rows of members() are places in `train`.
      std::vector<int64_t> rest_rows;
      for (const int64_t i : rest) rest_rows.push_back(train[to_size(i)]);
      for (const int64_t i : taken) kept.push_back(train[to_size(i)]);
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
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  Members members(const std::vector<int64_t>& rows) const {
    Members by_class(class_names.size());
    for (size_t i = 0; i < rows.size(); ++i)
      by_class[to_size(files_.train[to_size(rows[i])].label)].push_back(to_int64(i));
    return by_class;
  }

  const LabelledFile& file_of(const PackPart& part, int64_t row) const {
    const bool apart = part.name == "test" && test_is_apart_;
    return (apart ? files_.test : files_.train)[to_size(row)];
  }

  ReadOptions reading_;
  ImageFiles files_;
  bool test_is_apart_ = false;
};

}  // namespace

std::unique_ptr<PackSource> open_pack_source(const DataOptions& options, const StopFlag* stop,
                                             const ProgressStyle& style) {
  const fs::path path = options.data;
  std::unique_ptr<PackSource> source;
  if (options.data != "shapes" && options.label_set == "fine" && fs::is_directory(path))
    for (const Reader& one : readers()) {
      if (!one.recognises(path)) continue;
      if (one.list)
        source =
            std::make_unique<FileSource>(one.list(path, options.reading()), options, stop, style);
      break;
    }
  if (!source) source = std::make_unique<MemorySource>(options, style);
  if (stop && stop->requested()) return nullptr;
  return source;
}

}  // namespace retort::data
