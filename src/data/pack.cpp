// Writing a packed set: a header of a length known beforehand, then images in parallel, block after
// block, each noted when it is safely on disk.
#include "retort/data/pack.h"

#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "data/image_folder.h"
#include "data/layouts.h"
#include "data/measure.h"
#include "data/pack_file.h"
#include "data/split.h"
#include "data/tiny_imagenet.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/metadata.h"
#include "retort/core/safetensors.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A part of the set to be, with a way to its images.
struct Part {
  std::string name;
  std::vector<int64_t> labels;
  std::vector<int64_t> rows;  ///< of the source's part that they come from
};

/// Where images come from: a set in memory, or a list of files.
class Source {
 public:
  virtual ~Source() = default;
  virtual void image(const Part& part, int64_t row, uint8_t* planes) const = 0;

  std::string name, reader;
  std::vector<std::string> class_names, notes;
  std::optional<Normalisation> published;
  int64_t channels = 0, height = 0, width = 0;
  std::vector<Part> parts;  ///< test, train, validation: in the file's order
  std::string key;          ///< of everything that decides the bytes of the images
  int64_t image_bytes() const { return channels * height * width; }
};

class MemorySource : public Source {
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
      Part part{title, {}, {}};
      for (int64_t i = 0; i < split->size(); ++i) {
        part.labels.push_back(split->labels.data_ptr<int64_t>()[i]);
        part.rows.push_back(i);
      }
      parts.push_back(std::move(part));
    }
  }

  void image(const Part& part, int64_t row, uint8_t* planes) const override {
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
class FileSource : public Source {
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

  void image(const Part& part, int64_t row, uint8_t* planes) const override {
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
      Part part{title, {}, rows};
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

  const LabelledFile& file_of(const Part& part, int64_t row) const {
    const bool apart = part.name == "test" && test_is_apart_;
    return (apart ? listing_.test : listing_.train)[static_cast<size_t>(row)];
  }

  Listing listing_;
  ReadOptions reading_;
  bool test_is_apart_ = false;
};

std::unique_ptr<Source> open_source(const DataOptions& options) {
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

/// A plain file that is written at places.
class Output {
 public:
  Output(const fs::path& path, uint64_t size) : path_(path.string()) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) throw ResourceError::io("opening '" + path_ + "'");
    // Space is taken beforehand, so that a full disk shows now.
    if (const int error = ::posix_fallocate(file_, 0, static_cast<off_t>(size)); error != 0) {
      errno = error;
      const ResourceError failure = ResourceError::io("making '" + path_ + "'");
      ::close(file_);
      throw failure;
    }
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { ::close(file_); }

  void put(const void* data, uint64_t size, uint64_t at) const {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t wrote = ::pwrite(file_, from, size, static_cast<off_t>(at));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) throw ResourceError::io("writing '" + path_ + "'");
      from += wrote;
      at += static_cast<uint64_t>(wrote);
      size -= static_cast<uint64_t>(wrote);
    }
  }
  void sync() const {
    if (::fdatasync(file_) != 0) throw ResourceError::io("writing '" + path_ + "'");
  }

 private:
  std::string path_;
  int file_ = -1;
};

/// A fixed number of characters, so that the header can be written last.
std::string numbers(const std::vector<double>& values) {
  return fmt::format("[{:.17e}]", fmt::join(values, ","));
}

class Packer {
 public:
  explicit Packer(const PackInput& input) : input_(input) {
    if (fs::exists(input.out) && !is_pack(input.out))
      refuse("the file is there, and is no packed set");
    source_ = open_source(input.data);
    for (const Part& part : source_->parts) {
      const int64_t copies = part.name == "train" ? input.repeat : 1;
      const auto count = static_cast<int64_t>(part.labels.size()) * copies;
      shapes_[part.name + ".images"] = {
          DType::kU8, {count, source_->channels, source_->height, source_->width}, {}};
      shapes_[part.name + ".labels"] = {DType::kI64, {count}, {}};
    }
    const std::vector<double> unknown(static_cast<size_t>(source_->channels), 0.5);
    header_ = header(std::string(16, '0'), {unknown, unknown});
    uint64_t at = header_.size();
    for (const auto& [name, shape] : shapes_) {
      places_[name] = at;
      uint64_t size = dtype_size(shape.dtype);
      for (const int64_t side : shape.shape) size *= static_cast<uint64_t>(side);
      at += size;
    }
    size_ = at;
  }

  PackOutcome run() {
    PackOutcome outcome{total(), static_cast<int64_t>(size_), false, false};
    if (fs::exists(input_.out)) {
      require_same();
      return outcome;
    }
    int64_t done = done_before();
    const Output output(partial(), size_);
    Progress progress(input_.progress, "packing " + source_->name, total(), done);
    while (done < total()) {
      if (input_.stop && input_.stop->requested()) {
        outcome.stopped = true;
        return outcome;
      }
      const int64_t end = std::min(done + block(), total());
      write_images(output, done, end);
      output.sync();
      done = end;
      write_atomically(noted(), metadata_text({{"source", plan_key()}, {"done", done}}) + "\n");
      progress.update(done);
    }
    finish(output);
    outcome.made = true;
    return outcome;
  }

 private:
  /// Images between two notes: some 64 MB.
  int64_t block() const {
    return std::max<int64_t>((int64_t{64} << 20) / source_->image_bytes(), 1);
  }

  int64_t copies(const Part& part) const { return part.name == "train" ? input_.repeat : 1; }
  int64_t size_of(const Part& part) const {
    return static_cast<int64_t>(part.rows.size()) * copies(part);
  }
  int64_t total() const {
    int64_t all = 0;
    for (const Part& part : source_->parts) all += size_of(part);
    return all;
  }

  fs::path beside(const char* ending) const {
    fs::path path = input_.out;
    return path += ending;
  }
  fs::path partial() const { return beside(".partial"); }
  fs::path noted() const { return beside(".progress"); }

  std::string plan_key() const {
    std::string text = fmt::format("{} {} {} {}", source_->key, input_.repeat,
                                   input_.data.test_fraction, input_.data.validation_fraction) +
                       header_;
    return hex(hash_bytes(text.data(), text.size()));
  }

  std::string header(const std::string& hash, const Normalisation& measured) const {
    const Normalisation published = source_->published.value_or(Normalisation{});
    return safetensors_header(shapes_, {{"format", kPackFormat},
                                        {"format_version", std::to_string(kPackVersion)},
                                        {"data_name", source_->name},
                                        {"reader", source_->reader},
                                        {"class_names", metadata_text(source_->class_names)},
                                        {"notes", metadata_text(source_->notes)},
                                        {"published_mean", metadata_text(published.mean)},
                                        {"published_std", metadata_text(published.deviation)},
                                        {"mean", numbers(measured.mean)},
                                        {"std", numbers(measured.deviation)},
                                        {"hash", hash},
                                        {"source", source_->key}});
  }

  [[noreturn]] void refuse(const std::string& found) const {
    throw StateError(Report{"packing into '" + input_.out.string() + "'", found,
                            "a new file, or the one that this source gave",
                            "choose another name, or remove the file"});
  }

  void require_same() const {
    const MappedFile file(input_.out);
    const SafetensorsView view = parse_safetensors(file.bytes(), input_.out.string());
    const auto key = view.metadata.find("source");
    if (file.bytes().size() != size_ || key == view.metadata.end() || key->second != source_->key)
      refuse("it was packed from another source");
  }

  /// How far an earlier start came; 0 where it was another plan's.
  int64_t done_before() const {
    std::error_code ignored;
    if (!fs::exists(noted(), ignored) || !fs::exists(partial(), ignored)) return 0;
    const Json note = Json::parse(read_file(noted(), 4096), nullptr, false);
    if (!note.is_object() || note.value("source", "") != plan_key()) return 0;
    return std::clamp<int64_t>(note.value("done", int64_t{0}), 0, total());
  }

  /// Images begin to end - 1, counted through all parts, dealt out to the threads. Of several bad
  /// files the first is named.
  void write_images(const Output& output, int64_t begin, int64_t end) const {
    std::atomic<int64_t> next{begin}, failed{end};
    std::exception_ptr error;
    std::mutex mutex;
    const auto work = [&] {
      std::vector<uint8_t> planes(static_cast<size_t>(source_->image_bytes()));
      for (int64_t i = next++; i < end && i < failed; i = next++) {
        try {
          write_image(output, i, planes);
        } catch (...) {
          const std::lock_guard<std::mutex> lock(mutex);
          if (i < failed) {
            failed = i;
            error = std::current_exception();
          }
        }
      }
    };
    std::vector<std::thread> workers;
    for (int i = 0; i < at::get_num_threads(); ++i) workers.emplace_back(work);
    for (std::thread& worker : workers) worker.join();
    if (error) std::rethrow_exception(error);
  }

  void write_image(const Output& output, int64_t index, std::vector<uint8_t>& planes) const {
    for (const Part& part : source_->parts) {
      if (index >= size_of(part)) {
        index -= size_of(part);
        continue;
      }
      const auto distinct = static_cast<int64_t>(part.rows.size());
      source_->image(part, part.rows[static_cast<size_t>(index % distinct)], planes.data());
      output.put(planes.data(), planes.size(),
                 places_.at(part.name + ".images") + static_cast<uint64_t>(index) * planes.size());
      return;
    }
  }

  void write_labels(const Output& output) const {
    for (const Part& part : source_->parts) {
      uint64_t at = places_.at(part.name + ".labels");
      const uint64_t bytes = part.labels.size() * sizeof(int64_t);
      for (int64_t copy = 0; copy < copies(part); ++copy, at += bytes)
        output.put(part.labels.data(), bytes, at);
    }
  }

  /// Labels, then what is known only now: hash, mean and deviation; then the name.
  void finish(const Output& output) const {
    write_labels(output);
    output.put(header_.data(), header_.size(), 0);
    output.sync();
    const auto [hash, measured] = measured_file();
    const std::string complete = header(hash, measured);
    TORCH_CHECK(complete.size() == header_.size(), "the header's length changed");
    output.put(complete.data(), complete.size(), 0);
    output.sync();
    fs::rename(partial(), input_.out);
    std::error_code ignored;
    fs::remove(noted(), ignored);
    sync_folder(fs::absolute(input_.out).parent_path());
  }

  std::pair<std::string, Normalisation> measured_file() const {
    const MappedFile file(partial());
    const SafetensorsView view = parse_safetensors(file.bytes(), partial().string());
    std::vector<std::vector<int64_t>> labels;  // in the file they stand anywhere
    std::vector<PartBytes> parts;
    for (const char* name : {"train", "test", "validation"}) {
      const RawTensor& images = view.tensors.at(std::string(name) + ".images");
      const RawTensor& raw = view.tensors.at(std::string(name) + ".labels");
      if (std::string(name) == "validation" && raw.bytes.empty()) continue;
      labels.emplace_back(raw.bytes.size() / sizeof(int64_t));
      if (!raw.bytes.empty()) std::memcpy(labels.back().data(), raw.bytes.data(), raw.bytes.size());
      parts.push_back({reinterpret_cast<const uint8_t*>(images.bytes.data()), images.bytes.size(),
                       labels.back().data(), static_cast<int64_t>(labels.back().size())});
    }
    const RawTensor& train = view.tensors.at("train.images");
    const at::Tensor images = at::from_blob(const_cast<std::byte*>(train.bytes.data()), train.shape,
                                            at::TensorOptions(at::kByte));
    return {
        hash_parts(source_->channels, source_->height, source_->width, source_->class_names, parts),
        measure(images)};
  }

  const PackInput& input_;
  std::unique_ptr<Source> source_;
  std::map<std::string, RawTensor> shapes_;
  std::map<std::string, uint64_t> places_;
  std::string header_;
  uint64_t size_ = 0;
};

}  // namespace

PackOutcome pack(const PackInput& input) {
  return Packer(input).run();
}

}  // namespace retort::data
