#include "data/pack_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <iterator>

#include "core/sizes.h"
#include "data/pack_file.h"
#include "io/content_hash.h"
#include "io/metadata.h"
#include "io/shape_bytes.h"

namespace retort::data {
namespace {

constexpr size_t kRoomForNotes = 2048;  // on what is known only when all images were read

/// A fixed number of characters, so that the header can be written last.
std::string numbers(const std::vector<double>& values) {
  return fmt::format("[{:.17e}]", fmt::join(values, ","));
}

/// A safetensors header, which may end in spaces, of a length fixed beforehand.
std::string with_length(std::string header, size_t size) {
  TORCH_CHECK(header.size() <= size && size % 8 == 0, "the header outgrew its room");
  header.resize(size, ' ');
  const uint64_t length = size - sizeof length;
  std::memcpy(header.data(), &length, sizeof length);
  return header;
}

}  // namespace

PackPlan::PackPlan(const PackInput& input, const PackSource& source)
    : input_(input), source_(source) {
  for (const PackPart& part : source.parts) {
    const int64_t count = size_of(part);
    shapes_[part.name + ".images"] = {
        DType::kU8, {count, source.channels, source.height, source.width}, {}};
    shapes_[part.name + ".labels"] = {DType::kI64, {count}, {}};
    shapes_[piece_hashes(part.name + ".images")] = {DType::kI64, {count}, {}};
  }
  const std::vector<double> unknown(to_size(source.channels), 0.5);
  header_ = header(std::string(16, '0'), {unknown, unknown}, source.notes);
  header_ = with_length(header_, header_.size() + kRoomForNotes);
  size_ = header_.size();
  for (const auto& [name, shape] : shapes_) {
    places_[name] = size_;
    size_ += bytes_by_shape(shape);
  }
}

int64_t PackPlan::size_of(const PackPart& part) const {
  return std::ssize(part.rows) * copies(part);
}

int64_t PackPlan::images() const {
  int64_t all = 0;
  for (const PackPart& part : source_.parts) all += size_of(part);
  return all;
}

std::string PackPlan::key() const {
  const std::string text = fmt::format("{} {} {} {} {}", source_.key, source_.state, input_.repeat,
                                       input_.data.test_fraction, input_.data.validation_fraction) +
                           header_;
  return hex(hash_bytes(text.data(), text.size()));
}

std::string PackPlan::header(const std::string& hash, const Normalisation& measured,
                             const std::vector<std::string>& notes) const {
  const Normalisation published = source_.published.value_or(Normalisation{});
  Metadata metadata{{"format", kPackFormat},
                    {"format_version", std::to_string(kPackVersion)},
                    {"data_name", source_.name},
                    {"reader", source_.reader},
                    {"class_names", metadata_text(source_.class_names)},
                    {"class_ids", metadata_text(source_.class_ids)},
                    {"notes", metadata_text(notes)},
                    {"published_mean", metadata_text(published.mean)},
                    {"published_std", metadata_text(published.deviation)},
                    {"mean", numbers(measured.mean)},
                    {"std", numbers(measured.deviation)},
                    {"hash", hash},
                    {"resize", input_.data.resize},
                    {"exif", input_.data.exif},
                    {"source", source_.key},
                    {"source_state", source_.state}};
  if (!source_.mirrorable) metadata["mirrorable"] = "no";
  return safetensors_header(shapes_, metadata);
}

std::string PackPlan::last_header(const std::string& hash, const Normalisation& measured,
                                  const std::vector<std::string>& notes,
                                  const MappedFile& file) const {
  return sealed_header(with_length(header(hash, measured, notes), header_.size()),
                       tensors_in(file));
}

PackedImage PackPlan::image(int64_t index) const {
  size_t p = 0;
  for (; index >= size_of(source_.parts[p]); ++p) index -= size_of(source_.parts[p]);
  const PackPart& part = source_.parts[p];
  const uint64_t at = to_size(index);
  return {part, part.rows[at % part.rows.size()],
          places_.at(part.name + ".images") + at * to_size(source_.image_bytes()),
          places_.at(piece_hashes(part.name + ".images")) + at * sizeof(int64_t)};
}

std::map<std::string, RawTensor> PackPlan::tensors_in(const MappedFile& file) const {
  std::map<std::string, RawTensor> tensors = shapes_;
  for (auto& [name, tensor] : tensors)
    tensor.bytes = file.bytes().subspan(places_.at(name), bytes_by_shape(tensor));
  return tensors;
}

}  // namespace retort::data
