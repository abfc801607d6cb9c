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

#include "data/measure.h"
#include "data/pack_file.h"
#include "data/pack_source.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/metadata.h"
#include "retort/core/safetensors.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

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
    source_ = open_pack_source(input.data);
    for (const PackPart& part : source_->parts) {
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

  int64_t copies(const PackPart& part) const { return part.name == "train" ? input_.repeat : 1; }
  int64_t size_of(const PackPart& part) const {
    return static_cast<int64_t>(part.rows.size()) * copies(part);
  }
  int64_t total() const {
    int64_t all = 0;
    for (const PackPart& part : source_->parts) all += size_of(part);
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
    for (const PackPart& part : source_->parts) {
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
    for (const PackPart& part : source_->parts) {
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
  std::unique_ptr<PackSource> source_;
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
