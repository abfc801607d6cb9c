// Where a packed set's images come from: a set in memory, or a list of files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/image_notes.h"
#include "retort/core/progress.h"
#include "retort/core/stop.h"
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
  virtual void image(const PackPart& part, int64_t row, uint8_t* planes) = 0;
  /// After image() threw: looks at the other files too and throws an error that lists all that
  /// cannot be read, if there are any.
  virtual void look_at_all() {}
  /// Files that are not simply read, as far as image() met them: also set, when packing goes on.
  virtual ImageFindings* findings() { return nullptr; }
  /// Sentences on the findings.
  virtual std::vector<std::string> late_notes() const { return {}; }

  std::string name, reader;
  std::vector<std::string> class_names, class_ids, notes;
  std::optional<Normalisation> published;
  bool mirrorable = true;
  int64_t channels = 0, height = 0, width = 0;
  std::vector<PackPart> parts;  ///< test, train, validation: in the file's order
  std::string key;              ///< of which images there are and how they are read
  std::string state;  ///< of the files' sizes and times: another where one was written anew
  int64_t image_bytes() const { return channels * height * width; }
};

/// Reads or lists what the options name; null where `stop` ended it. Throws as open_dataset does.
std::unique_ptr<PackSource> open_pack_source(const DataOptions& options, const StopFlag* stop,
                                             const ProgressStyle& style);

}  // namespace retort::data
