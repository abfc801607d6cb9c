// Writing a packed set: a header of a length known beforehand, then images in parallel, block after
// block, each noted when it is safely on disk.
#include "data/pack.h"

#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/file.h"
#include "core/note.h"
#include "data/duplicates.h"
#include "data/in_parallel.h"
#include "data/measure.h"
#include "data/pack_file.h"
#include "data/pack_source.h"
#include "io/content_hash.h"
#include "io/metadata.h"
#include "io/safetensors.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A plain file that is written at places.
class Output {
 public:
  Output(const fs::path& path, uint64_t size) : path_(path.string()) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) throw ResourceError::io("opening '" + path_ + "'");
    // Space is taken beforehand, so that a full disk shows now; what another plan left may be
    // longer.
    if (::ftruncate(file_, static_cast<off_t>(size)) != 0) {
      const ResourceError failure = ResourceError::io("making '" + path_ + "'");
      ::close(file_);
      throw failure;
    }
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

constexpr size_t kRoomForNotes = 2048;  // on what is known only when all images were read

/// A safetensors header, which may end in spaces, of a length fixed beforehand.
std::string with_length(std::string header, size_t size) {
  TORCH_CHECK(header.size() <= size && size % 8 == 0, "the header outgrew its room");
  header.resize(size, ' ');
  const uint64_t length = size - sizeof length;
  std::memcpy(header.data(), &length, sizeof length);
  return header;
}

class Packer {
 public:
  explicit Packer(const PackInput& input) : input_(input) {
    if (fs::exists(input.out) && !is_pack(input.out))
      refuse("the file is there, and is no packed set");
    source_ = open_pack_source(input.data, input.stop, input.progress);
    if (!source_) return;
    for (const PackPart& part : source_->parts) {
      const int64_t copies = part.name == "train" ? input.repeat : 1;
      const auto count = static_cast<int64_t>(part.labels.size()) * copies;
      shapes_[part.name + ".images"] = {
          DType::kU8, {count, source_->channels, source_->height, source_->width}, {}};
      shapes_[part.name + ".labels"] = {DType::kI64, {count}, {}};
      shapes_[piece_hashes(part.name + ".images")] = {DType::kI64, {count}, {}};
    }
    const std::vector<double> unknown(static_cast<size_t>(source_->channels), 0.5);
    header_ = header(std::string(16, '0'), {unknown, unknown}, source_->notes);
    header_ = with_length(header_, header_.size() + kRoomForNotes);
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
    if (!source_) return {0, 0, false, /*stopped=*/true};
    PackOutcome outcome{total(), static_cast<int64_t>(size_), false, false};
    if (fs::exists(input_.out) && is_current()) return outcome;
    int64_t done = done_before();
    const Output output(partial(), size_);
    if (const int64_t whole = whole_before(partial(), done); whole < done) {
      say_note(input_.progress, fmt::format("'{}' is damaged: its images are packed anew from "
                                            "image {} of {} on",
                                            partial().string(), whole, done));
      done = whole;
    }
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
      write_atomically(noted(), progress_note(done) + "\n");
      progress.update(done);
    }
    finish(output);
    outcome.made = true;
    outcome.notes = all_notes();
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
    std::string text = fmt::format("{} {} {} {} {}", source_->key, source_->state, input_.repeat,
                                   input_.data.test_fraction, input_.data.validation_fraction) +
                       header_;
    return hex(hash_bytes(text.data(), text.size()));
  }

  std::string header(const std::string& hash, const Normalisation& measured,
                     const std::vector<std::string>& notes) const {
    const Normalisation published = source_->published.value_or(Normalisation{});
    Metadata metadata{{"format", kPackFormat},
                      {"format_version", std::to_string(kPackVersion)},
                      {"data_name", source_->name},
                      {"reader", source_->reader},
                      {"class_names", metadata_text(source_->class_names)},
                      {"class_ids", metadata_text(source_->class_ids)},
                      {"notes", metadata_text(notes)},
                      {"published_mean", metadata_text(published.mean)},
                      {"published_std", metadata_text(published.deviation)},
                      {"mean", numbers(measured.mean)},
                      {"std", numbers(measured.deviation)},
                      {"hash", hash},
                      {"resize", input_.data.resize},
                      {"exif", input_.data.exif},
                      {"source", source_->key},
                      {"source_state", source_->state}};
    if (!source_->mirrorable) metadata["mirrorable"] = "no";
    return safetensors_header(shapes_, metadata);
  }

  std::vector<std::string> all_notes() const {
    std::vector<std::string> notes = source_->notes;
    for (const std::string& note : source_->late_notes()) notes.push_back(note);
    for (const std::string& note : doubtful_)
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    return notes;
  }

  [[noreturn]] void refuse(const std::string& found) const {
    throw StateError(ErrorMessage{"packing into '" + input_.out.string() + "'", found,
                                  "a new file, or the one that this source gave",
                                  "choose another name, or remove the file"});
  }

  /// Whether the finished file is what would be written now. One of the same files in an earlier
  /// state is replaced; StateError for any other.
  bool is_current() const {
    const MappedFile file(input_.out);
    const SafetensorsView view = parse_safetensors(file.bytes(), input_.out.string());
    const auto value = [&](const char* name) {
      const auto found = view.metadata.find(name);
      return found == view.metadata.end() ? std::string() : found->second;
    };
    if (value("source") != source_->key)
      refuse(
          "it was packed from another source or with other options, or files came or went since");
    if (value("source_state") != source_->state) return false;
    if (file.bytes().size() != size_) refuse("it was packed with other parts");
    if (const int64_t whole = whole_before(input_.out, total()); whole < total())
      throw damaged_content(input_.out.string(),
                            fmt::format("image {} of {} is not as it was written", whole, total()));
    return true;
  }

  std::string progress_note(int64_t done) const {
    Json note{{"source", plan_key()}, {"done", done}};
    if (const ImageFindings* found = source_->findings())
      note["findings"] = {found->turned, found->cmyk, found->deep, found->more_frames,
                          found->largest};
    return note.dump();
  }

  /// How far an earlier start came; 0 where it was another plan's.
  int64_t done_before() const {
    std::error_code ignored;
    if (!fs::exists(noted(), ignored) || !fs::exists(partial(), ignored)) return 0;
    const Json note = Json::parse(read_file(noted(), 4096), nullptr, false);
    if (!note.is_object() || !note.contains("source") || note["source"] != plan_key()) return 0;
    std::vector<int64_t> counts;
    for (const Json& count : note.value("findings", Json::array()))
      if (count.is_number_integer()) counts.push_back(count);
    if (ImageFindings* found = source_->findings(); found && counts.size() == 5)
      *found = {counts[0], counts[1], counts[2], counts[3], counts[4]};
    const Json done = note.value("done", Json(0));
    return done.is_number_integer() ? std::clamp<int64_t>(done, 0, total()) : 0;
  }

  /// Images begin to end - 1, counted through all parts, dealt out to the threads.
  void write_images(const Output& output, int64_t begin, int64_t end) const try {
    in_parallel(begin, end, at::get_num_threads(), [&](int64_t i) {
      std::vector<uint8_t> planes(static_cast<size_t>(source_->image_bytes()));
      write_image(output, i, planes);
    });
  } catch (const DataError&) {
    source_->look_at_all();  // they are named together
    throw;
  }

  /// Where an image of all parts and its hash stand in the file.
  struct Place {
    const PackPart& part;
    int64_t row;
    uint64_t image, hash;
  };
  Place place_of(int64_t index) const {
    size_t p = 0;
    for (; index >= size_of(source_->parts[p]); ++p) index -= size_of(source_->parts[p]);
    const PackPart& part = source_->parts[p];
    const auto at = static_cast<uint64_t>(index);
    return {part, part.rows[static_cast<size_t>(index) % part.rows.size()],
            places_.at(part.name + ".images") + at * static_cast<uint64_t>(source_->image_bytes()),
            places_.at(piece_hashes(part.name + ".images")) + at * sizeof(int64_t)};
  }

  void write_image(const Output& output, int64_t index, std::vector<uint8_t>& planes) const {
    const Place place = place_of(index);
    source_->image(place.part, place.row, planes.data());
    const int64_t hash = piece_hash(planes.data(), planes.size());
    output.put(planes.data(), planes.size(), place.image);
    output.put(&hash, sizeof hash, place.hash);
  }

  /// Of `done` images that were written before, those before the first that is not as it was
  /// written.
  int64_t whole_before(const fs::path& path, int64_t done) const {
    if (done == 0) return 0;
    const MappedFile file(path);
    if (file.bytes().size() != size_) return 0;
    for (int64_t i = 0; i < done; ++i) {
      const Place place = place_of(i);
      int64_t hash = 0;
      std::memcpy(&hash, file.bytes().data() + place.hash, sizeof hash);
      if (hash != piece_hash(file.bytes().data() + place.image,
                             static_cast<size_t>(source_->image_bytes())))
        return i;
    }
    return done;
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
  void finish(const Output& output) {
    write_labels(output);
    output.put(header_.data(), header_.size(), 0);
    output.sync();
    const MappedFile file(partial());
    const auto [hash, measured] = measured_file(file);
    doubtful_ = doubtful_of(file);
    const std::string complete = sealed_header(
        with_length(header(hash, measured, all_notes()), header_.size()), mapped(file));
    output.put(complete.data(), complete.size(), 0);
    output.sync();
    fs::rename(partial(), input_.out);
    std::error_code ignored;
    fs::remove(noted(), ignored);
    sync_folder(fs::absolute(input_.out).parent_path());
  }

  /// The tensors where they are in the file.
  std::map<std::string, RawTensor> mapped(const MappedFile& file) const {
    std::map<std::string, RawTensor> tensors = shapes_;
    for (auto& [name, tensor] : tensors) {
      uint64_t size = dtype_size(tensor.dtype);
      for (const int64_t side : tensor.shape) size *= static_cast<uint64_t>(side);
      tensor.bytes = file.bytes().subspan(places_.at(name), size);
    }
    return tensors;
  }

  std::pair<std::string, Normalisation> measured_file(const MappedFile& file) const {
    const auto tensors = mapped(file);
    std::vector<std::vector<int64_t>> labels;  // in the file they stand anywhere
    std::vector<PartBytes> parts;
    for (const char* name : {"train", "test", "validation"}) {
      const RawTensor& images = tensors.at(std::string(name) + ".images");
      const RawTensor& raw = tensors.at(std::string(name) + ".labels");
      if (std::string(name) == "validation" && raw.bytes.empty()) continue;
      labels.emplace_back(raw.bytes.size() / sizeof(int64_t));
      if (!raw.bytes.empty()) std::memcpy(labels.back().data(), raw.bytes.data(), raw.bytes.size());
      parts.push_back({reinterpret_cast<const uint8_t*>(images.bytes.data()), images.bytes.size(),
                       labels.back().data(), static_cast<int64_t>(labels.back().size())});
    }
    const RawTensor& train = tensors.at("train.images");
    const at::Tensor images = at::from_blob(const_cast<std::byte*>(train.bytes.data()), train.shape,
                                            at::TensorOptions(at::kByte));
    return {
        hash_parts(source_->channels, source_->height, source_->width, source_->class_names, parts),
        measure(images)};
  }

  /// The sentences that reading the source would give; a set in memory has given them before.
  std::vector<std::string> doubtful_of(const MappedFile& file) const {
    const auto rows = [&](const PackPart& part) {
      return ImageRows{
          reinterpret_cast<const uint8_t*>(file.bytes().data()) + places_.at(part.name + ".images"),
          part.labels.data(), static_cast<int64_t>(part.labels.size())};
    };
    ImageRows train, test;
    for (const PackPart& part : source_->parts) {
      if (part.name == "train") train = rows(part);
      if (part.name == "test") test = rows(part);
    }
    return doubtful_notes(train, test, source_->image_bytes(), source_->class_names);
  }

  const PackInput& input_;
  std::unique_ptr<PackSource> source_;
  std::map<std::string, RawTensor> shapes_;
  std::map<std::string, uint64_t> places_;
  std::string header_;
  std::vector<std::string> doubtful_;
  uint64_t size_ = 0;
};

}  // namespace

PackOutcome pack(const PackInput& input) {
  return Packer(input).run();
}

}  // namespace retort::data
