// Figures that cost a training: each is found once, kept as a line of records and looked up by a
// later start. No torch here.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "retort/core/records.h"

namespace retort::eval {

/// The figures of a folder. Thread-safe.
class KeptFigures {
 public:
  /// Reads what all processes of earlier starts have written; this one writes as `rank`, or not at
  /// all (-1). DataError where a line is damaged.
  explicit KeptFigures(std::filesystem::path folder, int64_t rank = 0);

  /// The figure of this key, as it was added.
  std::optional<Json> find(const std::string& key) const;
  /// Keeps an object under a key, which says all that it depends on.
  void add(const std::string& key, Json figure);
  /// Takes up what other processes have written meanwhile.
  void refresh();

 private:
  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Json> figures_;
  std::optional<RecordWriter> writer_;
};

}  // namespace retort::eval
