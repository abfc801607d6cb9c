// Writing a packed set: a header of a length known beforehand, then images in parallel, block after
// block, each noted when it is safely on disk.
#include "data/pack.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "core/file.h"
#include "core/note.h"
#include "core/sizes.h"
#include "data/duplicates.h"
#include "data/in_parallel.h"
#include "data/measure.h"
#include "data/pack_file.h"
#include "data/pack_plan.h"
#include "data/pack_source.h"
#include "data/placed_file.h"
#include "io/content_hash.h"
#include "io/safetensors.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class Packer {
 public:
  explicit Packer(const PackInput& input) : input_(input) {
    if (fs::exists(input.out) && !is_pack(input.out))
      refuse("the file is there, and is no packed set");
    source_ = open_pack_source(input.data, input.stop, input.progress);
    if (source_) plan_.emplace(input, *source_);
  }

  PackOutcome run() {
    if (!source_) return {0, 0, false, /*stopped=*/true};
    PackOutcome outcome{plan_->images(), to_int64(plan_->file_bytes()), false, false};
    if (fs::exists(input_.out) && is_current()) return outcome;
    const int64_t before = done_before();
    const PlacedFile output(partial(), plan_->file_bytes());
    outcome.stopped = !write_all_images(output, whole_of(before));
    if (outcome.stopped) return outcome;
    finish(output);
    outcome.made = true;
    outcome.notes = all_notes();
    return outcome;
  }

 private:
  /// Of `done` images that were noted, those that may stay.
  int64_t whole_of(int64_t done) const {
    const int64_t whole = whole_before(partial(), done);
    if (whole < done)
      say_note(input_.progress, fmt::format("'{}' is damaged: its images are packed anew from "
                                            "image {} of {} on",
                                            partial().string(), whole, done));
    return whole;
  }

  /// Images from number `done` on, noted block by block; false where it was stopped.
  bool write_all_images(const PlacedFile& output, int64_t done) const {
    // Images between two notes: some 64 MB.
    const int64_t block = std::max<int64_t>((int64_t{64} << 20) / source_->image_bytes(), 1);
    const int64_t total = plan_->images();
    Progress progress(input_.progress, "packing " + source_->name, total, done);
    while (done < total) {
      if (input_.stop && input_.stop->requested()) return false;
      const int64_t end = std::min(done + block, total);
      write_images(output, done, end);
      output.sync();
      done = end;
      write_atomically(noted(), progress_note(done) + "\n");
      progress.update(done);
    }
    return true;
  }

  fs::path beside(const char* ending) const {
    fs::path path = input_.out;
    return path += ending;
  }
  fs::path partial() const { return beside(".partial"); }
  fs::path noted() const { return beside(".progress"); }

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
    if (file.bytes().size() != plan_->file_bytes()) refuse("it was packed with other parts");
    if (const int64_t whole = whole_before(input_.out, plan_->images()); whole < plan_->images())
      throw damaged_content(
          input_.out.string(),
          fmt::format("image {} of {} is not as it was written", whole, plan_->images()));
    return true;
  }

  std::string progress_note(int64_t done) const {
    Json note{{"source", plan_->key()}, {"done", done}};
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
    if (!note.is_object() || !note.contains("source") || note["source"] != plan_->key()) return 0;
    std::vector<int64_t> counts;
    for (const Json& count : note.value("findings", Json::array()))
      if (count.is_number_integer()) counts.push_back(count);
    if (ImageFindings* found = source_->findings(); found && counts.size() == 5)
      *found = {counts[0], counts[1], counts[2], counts[3], counts[4]};
    const Json done = note.value("done", Json(0));
    return done.is_number_integer() ? std::clamp<int64_t>(done, 0, plan_->images()) : 0;
  }

  /// Images begin to end - 1, counted through all parts, dealt out to the threads.
  void write_images(const PlacedFile& output, int64_t begin, int64_t end) const try {
    in_parallel(begin, end, at::get_num_threads(), [&](int64_t i) {
      std::vector<uint8_t> planes(to_size(source_->image_bytes()));
      write_image(output, i, planes);
    });
  } catch (const DataError&) {
    source_->look_at_all();  // they are named together
    throw;
  }

  void write_image(const PlacedFile& output, int64_t index, std::vector<uint8_t>& planes) const {
    const PackedImage image = plan_->image(index);
    source_->image(image.part, image.row, planes.data());
    const int64_t hash = piece_hash(planes.data(), planes.size());
    output.put(planes.data(), planes.size(), image.pixels);
    output.put(&hash, sizeof hash, image.hash);
  }

  /// Of `done` images that were written before, those before the first that is not as it was
  /// written.
  int64_t whole_before(const fs::path& path, int64_t done) const {
    if (done == 0) return 0;
    const MappedFile file(path);
    if (file.bytes().size() != plan_->file_bytes()) return 0;
    for (int64_t i = 0; i < done; ++i) {
      const PackedImage image = plan_->image(i);
      int64_t hash = 0;
      std::memcpy(&hash, file.bytes().data() + image.hash, sizeof hash);
      if (hash != piece_hash(file.bytes().data() + image.pixels, to_size(source_->image_bytes())))
        return i;
    }
    return done;
  }

  void write_labels(const PlacedFile& output) const {
    for (const PackPart& part : source_->parts) {
      uint64_t at = plan_->place_of(part.name + ".labels");
      const uint64_t bytes = part.labels.size() * sizeof(int64_t);
      for (int64_t copy = 0; copy < plan_->copies(part); ++copy, at += bytes)
        output.put(part.labels.data(), bytes, at);
    }
  }

  /// Labels, then what is known only now: hash, mean and deviation; then the name.
  void finish(const PlacedFile& output) {
    write_labels(output);
    output.put(plan_->first_header().data(), plan_->first_header().size(), 0);
    output.sync();
    const MappedFile file(partial());
    const auto [hash, measured] = measured_file(file);
    doubtful_ = doubtful_of(file);
    const std::string complete = plan_->last_header(hash, measured, all_notes(), file);
    output.put(complete.data(), complete.size(), 0);
    output.sync();
    fs::rename(partial(), input_.out);
    std::error_code ignored;
    fs::remove(noted(), ignored);
    sync_folder(fs::absolute(input_.out).parent_path());
  }

  std::pair<std::string, Normalisation> measured_file(const MappedFile& file) const {
    const auto tensors = plan_->tensors_in(file);
    std::vector<std::vector<int64_t>> labels;  // in the file they stand anywhere
    std::vector<PartBytes> parts;
    for (const char* name : {"train", "test", "validation"}) {
      const RawTensor& images = tensors.at(std::string(name) + ".images");
      const RawTensor& raw = tensors.at(std::string(name) + ".labels");
      if (std::string(name) == "validation" && raw.bytes.empty()) continue;
      labels.emplace_back(raw.bytes.size() / sizeof(int64_t));
      if (!raw.bytes.empty()) std::memcpy(labels.back().data(), raw.bytes.data(), raw.bytes.size());
      parts.push_back({reinterpret_cast<const uint8_t*>(images.bytes.data()), images.bytes.size(),
                       labels.back().data(), std::ssize(labels.back())});
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
      return ImageRows{reinterpret_cast<const uint8_t*>(file.bytes().data()) +
                           plan_->place_of(part.name + ".images"),
                       part.labels.data(), std::ssize(part.labels)};
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
  std::optional<PackPlan> plan_;
  std::vector<std::string> doubtful_;
};

}  // namespace

PackOutcome pack(const PackInput& input) {
  return Packer(input).run();
}

}  // namespace retort::data
