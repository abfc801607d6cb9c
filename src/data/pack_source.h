// Where a packed set's images come from: a set in memory, or a list of files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::data {

/// A part of the set to be, with a way to its images.
struct PackPart {
  std::string name;
  std::vector<int64_t> labels;
  std::vector<int64_t> rows;  ///< of the source's part that they come from
};

/// Where images come from: a set in memory, or a list of files.
class PackSource {
 public:
  virtual ~PackSource() = default;
  virtual void image(const PackPart& part, int64_t row, uint8_t* planes) const = 0;

  std::string name, reader;
  std::vector<std::string> class_names, notes;
  std::optional<Normalisation> published;
  int64_t channels = 0, height = 0, width = 0;
  std::vector<PackPart> parts;  ///< test, train, validation: in the file's order
  std::string key;              ///< of everything that decides the bytes of the images
  int64_t image_bytes() const { return channels * height * width; }
};

/// Reads or lists what the options name. Throws as open_dataset does.
std::unique_ptr<PackSource> open_pack_source(const DataOptions& options);

}  // namespace retort::data
